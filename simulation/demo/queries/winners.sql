-- Each version that a rollout brought to serve everyone: one row a promotion, oldest first.
SELECT JSONExtractString(live, 'version') AS version, min(generation) AS generation, min(since) AS since,
       any(JSONExtractString(live, 'job_id')) AS job_id
FROM promotions FINAL
WHERE task = {task:String} AND step = 'steady' AND JSONExtractString(live, 'artifact') != ''
GROUP BY version
ORDER BY generation
