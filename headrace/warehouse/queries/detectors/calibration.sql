-- How often answers of each confidence were right, by bin (20 x the log-odds of the greatest score, rounded down), of the first
-- base-audit labels of a version, at most `most`. Asked of several at once, at the same place of each array: the task, the version,
-- and from when up to when its answers count. One row a version and bin. place: of the version, from 1.
-- Labels that came within four weeks count, so that the read stays as small as it was; those that are none of the task's do not.
-- `days`: all that these answers' ids may be of (days since 1970); the indexes on them bound what is read of answers and feedback.
WITH
    subjects AS
    (
        SELECT arrayJoin(arrayEnumerate({tasks:Array(String)})) AS place,
               {tasks:Array(String)}[place] AS task, {versions:Array(String)}[place] AS version,
               {sinces:Array(DateTime64(6, 'UTC'))}[place] AS since, {untils:Array(DateTime64(6, 'UTC'))}[place] AS until
    ),
    arrayMap(day -> toDate(day), {days:Array(UInt16)}) AS dates,
    bitShiftLeft(toUInt128(arrayMin({days:Array(UInt16)})) * 86400000, 80) AS lowest,
    answers AS
    (
        SELECT s.place AS place, a.task AS task, a.tenant AS tenant, a.inference_id AS inference_id, a.label AS label,
               a.confidence AS confidence, s.since AS since, s.until AS until
        FROM
        (
            SELECT task, version, tenant, inference_id, occurred_at, label, arrayMax(mapValues(scores)) AS confidence
            FROM inferences FINAL
            WHERE (task, version) IN (arrayZip({tasks:Array(String)}, {versions:Array(String)})) AND arm = 'live' AND audited
              AND notEmpty(scores)
              AND occurred_at >= arrayMin({sinces:Array(DateTime64(6, 'UTC'))})
              AND occurred_at < arrayMax({untils:Array(DateTime64(6, 'UTC'))})
              AND toUInt128(inference_id) >= lowest
              AND toUInt128(inference_id) < bitShiftLeft((toUInt128(arrayMax({days:Array(UInt16)})) + 1) * 86400000, 80)
              AND toDate(UUIDv7ToDateTime(inference_id, 'UTC')) IN dates
        ) AS a
        INNER JOIN subjects AS s ON a.task = s.task AND a.version = s.version
        WHERE a.occurred_at >= s.since AND a.occurred_at < s.until
        ORDER BY toUInt128(inference_id), tenant
        LIMIT {most:UInt32} * 2 BY place
    ),
    truths AS
    (
        SELECT tenant, inference_id, label, revision, occurred_at, feedback_id
        FROM feedback_latest
        WHERE source = 'audit' AND signal = 'label' AND label != ''
          AND occurred_at >= arrayMin({sinces:Array(DateTime64(6, 'UTC'))})
          AND occurred_at < arrayMax({untils:Array(DateTime64(6, 'UTC'))}) + INTERVAL 4 WEEK
          AND toUInt128(feedback_id) < bitShiftLeft((toUInt128(arrayMax({days:Array(UInt16)})) + 29) * 86400000, 80)
          AND toDate(UUIDv7ToDateTime(inference_id, 'UTC')) IN dates
    )
SELECT place, toInt16(floor(20 * log(capped / (1 - capped)))) AS bin, count() AS labelled, countIf(right) AS correct
FROM
(
    SELECT place, least(greatest(toFloat64(confidence), 1e-4), 1 - 1e-6) AS capped, label = truth AS right
    FROM
    (
        SELECT a.place AS place, a.task AS task, a.tenant AS tenant, a.inference_id AS inference_id, a.label AS label,
               a.confidence AS confidence, t.label AS truth
        FROM answers AS a INNER JOIN truths AS t ON a.tenant = t.tenant AND a.inference_id = t.inference_id
        WHERE t.occurred_at >= a.since AND t.occurred_at < a.until + INTERVAL 4 WEEK
        ORDER BY t.revision DESC, t.occurred_at DESC, toUInt128(t.feedback_id) DESC
        LIMIT 1 BY place, tenant, inference_id
    )
    WHERE (task, truth) IN (SELECT task, label FROM labels_known) OR task NOT IN (SELECT task FROM task_labels)
    ORDER BY toUInt128(inference_id), tenant
    LIMIT {most:UInt32} BY place
)
GROUP BY place, bin
ORDER BY place, bin
