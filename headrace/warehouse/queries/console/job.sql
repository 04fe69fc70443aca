-- The newest retraining job of each task and the state it is in: one row a task. Skipped jobs did nothing and are left out.
SELECT task, job_id, number, attempt, state, version, needs, reason, at, heartbeat_at,
       dateDiff('second', heartbeat_at, now64(3)) AS heartbeat_age_s
FROM jobs FINAL
WHERE job_id NOT IN (SELECT job_id FROM jobs WHERE state = 'skipped')
ORDER BY number DESC, attempt DESC, at DESC, heartbeat_at DESC
LIMIT 1 BY task
