-- What the demo's screen shows, one row: the latest job, the latest promotion, the latest trainer line, the counts.
SELECT
    (SELECT (toString(job_id), toString(trigger_id), state, toInt64(needs), reason, toString(decided))
     FROM (SELECT j.job_id, j.trigger_id, argMax(j.state, (j.heartbeat_at, j.attempt)) AS state,
                  argMax(j.needs, (j.heartbeat_at, j.attempt)) AS needs,
                  argMax(j.reason, (j.heartbeat_at, j.attempt)) AS reason,
                  any(JSONExtractString(j.trigger, 'decided_at')) AS decided, max(j.number) AS number
           FROM jobs AS j FINAL WHERE j.task = {task:String} AND j.state != 'skipped' GROUP BY j.job_id, j.trigger_id
           ORDER BY number DESC LIMIT 1)) AS job,
    (SELECT (generation, step, JSONExtractString(live, 'version'), canary_share, reason)
     FROM promotions FINAL WHERE task = {task:String} ORDER BY generation DESC LIMIT 1) AS promotion,
    (SELECT (stage, done, total, message) FROM progress FINAL WHERE task = {task:String}
     ORDER BY at DESC, sequence DESC LIMIT 1) AS progress,
    (SELECT (value, low, high, n) FROM accuracy FINAL WHERE task = {task:String} AND version = '*'
     ORDER BY watermark DESC, known_at DESC LIMIT 1) AS rolling,
    (SELECT count() FROM inferences) AS inferences,
    (SELECT count() FROM feedback) AS feedback,
    (SELECT count() FROM feedback WHERE source = 'audit') AS audits
