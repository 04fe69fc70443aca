-- One retraining job: when it was claimed, its last state, and the trigger's own numbers. One row.
SELECT j.job_id AS job_id, j.number AS number, argMax(j.state, (j.heartbeat_at, j.attempt)) AS state,
       argMax(j.reason, (j.heartbeat_at, j.attempt)) AS job_reason, argMax(j.result, (j.heartbeat_at, j.attempt)) AS result,
       max(j.attempt) AS attempt, minIf(j.at, j.state = 'claimed') AS claimed_at,
       any(t.trigger_id) AS trigger_id, any(t.kind) AS kind, any(t.detector) AS detector, any(t.reason) AS reason,
       any(t.decided_at) AS decided_at, any(t.labels) AS labels, any(t.labels_since_change) AS estimated_since_change,
       any(t.version) AS version, any(t.generation) AS generation
FROM jobs AS j FINAL
INNER JOIN triggers AS t FINAL ON t.trigger_id = j.trigger_id
WHERE j.task = {task:String} AND j.state != 'skipped'
GROUP BY j.job_id, j.number
ORDER BY j.number
