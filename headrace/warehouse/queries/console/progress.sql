-- How far the newest attempt that reported has come: one row a stage, in the order in which the stages began.
SELECT task, job_id, attempt, stage,
       argMax(p.done, sequence) AS done, argMax(p.total, sequence) AS total, argMax(p.message, sequence) AS message,
       argMax(p.metrics, sequence) AS metrics,
       min(at) AS began_at, max(at) AS last_at
FROM progress AS p FINAL
WHERE (task, job_id, attempt) IN (SELECT task, job_id, attempt FROM progress ORDER BY at DESC LIMIT 1 BY task)
GROUP BY task, job_id, attempt, stage
ORDER BY task, min(sequence)
