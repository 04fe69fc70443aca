-- Retraining jobs, newest first: one row a job with its last state. needs: labels still missing where it waits.
SELECT task, number, state, attempt, version, needs, at, job_id, trigger_id,
       JSONExtractString(trigger, 'kind') AS kind, reason
FROM jobs FINAL
ORDER BY at DESC, heartbeat_at DESC
LIMIT 1 BY job_id
LIMIT {rows:UInt32}
