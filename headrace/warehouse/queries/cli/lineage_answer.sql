-- From the answer {answer} to all that its version rests on, and to what it taught itself. One row a thing, `what`: answer, version,
-- candidate, data set, feedback (a split and source of these), row (one feedback, of at most {rows}), job, trigger, and taught (a data set
-- that the answer is a row of, and the version that came of it). subject, about: in words. No row where there is no such answer.
WITH
    answered AS
    (
        SELECT tenant, inference_id, occurred_at, task, version, arm, label, user_ref
        FROM inferences FINAL WHERE toUInt128(inference_id) = toUInt128({answer:UUID})
    ),
    won AS
    (
        SELECT task, version, job_id, name, at, accuracy, n, dataset,
               if(JSONExtractString(detail, 'tuned_on') = '', dataset, JSONExtractString(detail, 'tuned_on')) AS tuned_on
        FROM candidates FINAL
        WHERE gate = 'passed' AND split = 'test' AND (task, version) IN (SELECT task, version FROM answered)
    ),
    learned AS (SELECT dataset, any(at) AS at, any(train) AS train, any(validation) AS validation, any(test) AS test, any(forget) AS forget
                FROM datasets FINAL WHERE dataset IN (SELECT arrayJoin([dataset, tuned_on]) FROM won) GROUP BY dataset),
    lines AS (SELECT dataset, split, source, label, inference_id, feedback_id FROM dataset_rows FINAL
              WHERE dataset IN (SELECT dataset FROM learned)),
    jobs_of AS (SELECT job_id, trigger_id, number, at, state, reason FROM jobs FINAL WHERE job_id IN (SELECT job_id FROM won))
SELECT toDateTime(at, 'UTC') AS at, what, subject, about
FROM
(
    SELECT toDateTime64(occurred_at, 3, 'UTC') AS at, 1 AS step, 'answer' AS what, toString(inference_id) AS subject,
           format('{} answered {} for {} (arm {}, tenant {})', version, label, task, arm, tenant) AS about
    FROM answered
    UNION ALL
    SELECT min(at), 2, 'version', version, format('live since generation {}', toString(min(generation)))
    FROM (SELECT at, generation, task, JSONExtractString(live, 'version') AS version FROM promotions FINAL)
    WHERE (task, version) IN (SELECT task, version FROM answered) GROUP BY version
    UNION ALL
    SELECT at, 3, 'candidate', toString(name), format('{} right of {} test rows', toString(round(accuracy, 4)), toString(n)) FROM won
    UNION ALL
    SELECT at, 4, 'data set', dataset,
           format('{} train, {} validation, {} test, {} forget', toString(train), toString(validation), toString(test), toString(forget))
    FROM learned
    UNION ALL
    SELECT max(UUIDv7ToDateTime(inference_id, 'UTC')), 5, 'feedback', format('{} of {}', split, source),
           format('{} rows of data set {}', toString(count()), substring(dataset, 1, 12))
    FROM lines GROUP BY dataset, split, source
    UNION ALL
    SELECT * FROM
    (
        SELECT toDateTime64(UUIDv7ToDateTime(inference_id, 'UTC'), 3, 'UTC'), 6, 'row', toString(feedback_id),
               format('{} said {} of answer {} ({})', source, label, toString(inference_id), split)
        FROM lines ORDER BY toUInt128(feedback_id) LIMIT {rows:UInt32}
    )
    UNION ALL
    SELECT at, 7, 'job', toString(job_id), format('number {}, {}: {}', toString(number), state, reason) FROM jobs_of WHERE state = 'won'
    UNION ALL
    SELECT decided_at, 8, 'trigger', toString(trigger_id), format('{}: {}', kind, reason)
    FROM triggers FINAL WHERE trigger_id IN (SELECT trigger_id FROM jobs_of)
    UNION ALL
    SELECT d.at, 9, 'taught', d.dataset, format('{} by {}; it became {}', r.split, r.source, if(c.version = '', 'no version', c.version))
    FROM (SELECT dataset, split, source FROM dataset_rows FINAL
          WHERE (tenant, inference_id) IN (SELECT tenant, inference_id FROM answered)) AS r
    INNER JOIN (SELECT dataset, max(at) AS at FROM datasets FINAL GROUP BY dataset) AS d ON r.dataset = d.dataset
    LEFT JOIN (SELECT arrayJoin(arrayDistinct([dataset, JSONExtractString(detail, 'tuned_on')])) AS learned, max(toString(version)) AS version
               FROM candidates FINAL WHERE gate = 'passed' AND split = 'test' GROUP BY learned) AS c ON r.dataset = c.learned
)
ORDER BY step, at, subject
