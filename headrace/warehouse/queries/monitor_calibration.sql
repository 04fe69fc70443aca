-- How often answers of each confidence were right: one row a bin (20 x the log-odds of the greatest score, rounded down)
-- of the first base-audit labels of one version, at most `most`, on answers from `since` up to before `until`. Labels
-- that came within four weeks count, so that the read stays as small as it was; those that are none of the task's do not.
WITH
    answers AS
    (
        SELECT tenant, inference_id, label, arrayMax(mapValues(scores)) AS confidence
        FROM inferences FINAL
        WHERE task = {task:String} AND version = {version:String} AND arm = 'live' AND audited AND notEmpty(scores)
          AND occurred_at >= {since:DateTime64(6, 'UTC')} AND occurred_at < {until:DateTime64(6, 'UTC')}
          AND toUInt128(inference_id) >= bitShiftLeft(toUInt128(greatest(0, toUnixTimestamp64Milli({since:DateTime64(6, 'UTC')}) - 86400000)), 80)
          AND toUInt128(inference_id) < bitShiftLeft(toUInt128(greatest(0, toUnixTimestamp64Milli({until:DateTime64(6, 'UTC')}) + 86400000)), 80)
        ORDER BY toUInt128(inference_id), tenant
        LIMIT {most:UInt32} * 2
    ),
    truths AS
    (
        SELECT tenant, inference_id, label
        FROM feedback FINAL
        WHERE source = 'audit' AND signal = 'label' AND label != ''
          AND occurred_at >= {since:DateTime64(6, 'UTC')}
          AND occurred_at < {until:DateTime64(6, 'UTC')} + INTERVAL 4 WEEK
          AND toUInt128(feedback_id) >= bitShiftLeft(toUInt128(greatest(0, toUnixTimestamp64Milli({since:DateTime64(6, 'UTC')}) - 86400000)), 80)
          AND toUInt128(feedback_id) < bitShiftLeft(toUInt128(greatest(0, toUnixTimestamp64Milli({until:DateTime64(6, 'UTC')}) + 29 * 86400000)), 80)
          AND inference_id IN (SELECT inference_id FROM answers)
        ORDER BY revision DESC, occurred_at DESC, toUInt128(feedback_id) DESC
        LIMIT 1 BY tenant, inference_id
    )
SELECT toInt16(floor(20 * log(capped / (1 - capped)))) AS bin, count() AS labelled, countIf(right) AS correct
FROM
(
    SELECT least(greatest(toFloat64(a.confidence), 1e-4), 1 - 1e-6) AS capped, a.label = t.label AS right
    FROM answers AS a INNER JOIN truths AS t ON a.tenant = t.tenant AND a.inference_id = t.inference_id
    WHERE ({task:String}, t.label) IN (SELECT task, label FROM labels_known) OR {task:String} NOT IN (SELECT task FROM task_labels)
    ORDER BY toUInt128(a.inference_id), a.tenant
    LIMIT {most:UInt32}
)
GROUP BY bin
ORDER BY bin
