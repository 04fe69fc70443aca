-- What a trigger rested on and what came of it, in order of time: one row an evaluation that fired for it, the trigger,
-- a state of its job, a candidate, and a promotion of its version.
WITH job AS (SELECT job_id, version FROM jobs WHERE trigger_id = {trigger:UUID})
SELECT at, what, subject, about
FROM
(
    SELECT decided_at AS at, 1 AS step, 'trigger' AS what, concat(task, ' ', kind) AS subject,
           concat(reason, if(threshold = 0, '', format(' ({}: {} against {}, {} labels since the change)', detector,
                  toString(round(statistic, 4)), toString(round(threshold, 4)), toString(labels_since_change)))) AS about
    FROM triggers FINAL WHERE trigger_id = {trigger:UUID}
    UNION ALL
    SELECT e.watermark, 0, 'evaluation', concat(e.detector, if(e.fired, ' fired', ' did not fire')),
           concat(e.decision, if(e.decision = '', '', ': '), e.reason)
    FROM evaluations AS e FINAL
    INNER JOIN (SELECT * FROM triggers FINAL WHERE trigger_id = {trigger:UUID}) AS t
        ON t.task = e.task AND t.generation = e.generation AND t.decided_at = e.watermark
    UNION ALL
    SELECT at, 2, 'job', concat(task, ' ', toString(number), ', attempt ', toString(attempt), ': ', state), reason
    FROM jobs FINAL WHERE trigger_id = {trigger:UUID}
    UNION ALL
    SELECT at, 3, 'candidate', concat(name, ': ', gate),
           format('{} accuracy {} ({} to {}, n = {}), p95 {} ms. {}', split, toString(round(accuracy, 4)),
                  toString(round(low, 4)), toString(round(high, 4)), toString(n), toString(round(p95_ms, 2)), reason)
    FROM candidates FINAL WHERE job_id IN (SELECT job_id FROM job)
    UNION ALL
    SELECT at, 4, 'promotion', concat('generation ', toString(generation), ': ', step), reason
    FROM promotions FINAL
    WHERE arrayExists(served -> JSONExtractString(served, 'version') != ''
                      AND JSONExtractString(served, 'version') IN (SELECT version FROM job WHERE version != ''),
                      [live, canary, shadow])
)
ORDER BY at, step, subject
