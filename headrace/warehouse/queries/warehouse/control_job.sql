-- A job's last states, newest first, as the columns of headrace.contract.control.Job; extra holds what is not known.
SELECT job_id, trigger_id, task, number, attempt, state, at, heartbeat_at, owner, version, needs, reason, trigger, result,
       extra
FROM jobs FINAL
WHERE job_id = {job:UUID}
ORDER BY heartbeat_at DESC, attempt DESC, at DESC
LIMIT 100
