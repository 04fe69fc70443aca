-- How busy a task's loop is. One row.
-- triggers: made since the live version became live; last_at: the last trigger ever, by event time (1970 for none)
-- waiting: a trigger of the last quarter of an hour (wall clock) that no job has answered yet, else ''
-- open_job, open_state: a job whose latest state is not final, else ''
-- settling: a job that won within the last quarter of an hour and whose rollout request no generation up to {generation}
--           has answered yet, else ''. The copies of a job's end and of the promotion after it arrive in any order.
-- last_labels, live_labels: of the task, as the plan had them when the last trigger was made, and when that of job
--           {live_job} was, whose model is live; empty where that is not known
-- verdict: of the last job that met the test rows against the live version {live} and had no winner, a JSON object; empty where
--           a job won since, or none did. verdict_job: its number; verdict_kind, verdict_from, verdict_at: of its trigger: the
--           kind, and when its test rows begin and when it was decided, event times
-- drew_at: the last uniform draw of audits, by event time (1970 for none)
WITH
    mine AS (SELECT * FROM triggers FINAL WHERE task = {task:String}),
    latest AS
    (
        SELECT job_id, any(trigger_id) AS of_trigger, any(number) AS number,
               argMax(state, (attempt, at, heartbeat_at)) AS state, argMax(result, (attempt, at, heartbeat_at)) AS result,
               max(ingested_at) AS last_row
        FROM jobs FINAL
        WHERE task = {task:String}
        GROUP BY job_id
    ),
    waiting AS
    (
        SELECT toString(trigger_id) AS id
        FROM mine
        WHERE ingested_at > now64(3) - INTERVAL 15 MINUTE AND trigger_id NOT IN (SELECT of_trigger FROM latest)
        ORDER BY decided_at DESC LIMIT 1
    ),
    busy AS
    (
        SELECT toString(job_id) AS id, state
        FROM latest
        WHERE state NOT IN ('won', 'no_winner', 'failed', 'skipped')
        LIMIT 1
    ),
    answered AS
    (
        SELECT JSONExtractString(candidate, 'job_id') AS job
        FROM rollouts FINAL
        WHERE task = {task:String} AND request_id IN
            (SELECT assumeNotNull(request_id) FROM promotions FINAL
             WHERE task = {task:String} AND request_id IS NOT NULL AND generation <= {generation:UInt64})
    ),
    judged AS
    (
        SELECT of_trigger, number, JSONExtractRaw(result, 'verdict') AS verdict
        FROM latest
        WHERE state = 'won'
           OR state = 'no_winner' AND startsWith(verdict, '{') AND JSONExtractString(result, 'against') = {live:String}
        ORDER BY number DESC LIMIT 1
    ),
    settling AS
    (
        SELECT toString(job_id) AS id
        FROM latest
        WHERE state = 'won' AND last_row > now64(3) - INTERVAL 15 MINUTE AND toString(job_id) NOT IN (SELECT job FROM answered)
        LIMIT 1
    )
SELECT
    (SELECT countIf(decided_at >= {since:DateTime64(6, 'UTC')}) FROM mine) AS triggers,
    (SELECT max(decided_at) FROM mine) AS last_at,
    (SELECT groupArray(toString(trigger_id)) FROM mine WHERE decided_at >= {since:DateTime64(6, 'UTC')}) AS trigger_ids,
    (SELECT max(id) FROM waiting) AS waiting,
    (SELECT max(id) FROM busy) AS open_job,
    (SELECT max(state) FROM busy) AS open_state,
    (SELECT max(id) FROM settling) AS settling,
    (SELECT argMax(JSONExtract(evidence, 'task_labels', 'Array(String)'), decided_at) FROM mine) AS last_labels,
    (SELECT argMax(JSONExtract(evidence, 'task_labels', 'Array(String)'), decided_at) FROM mine
     WHERE trigger_id IN (SELECT of_trigger FROM latest WHERE job_id = {live_job:UUID})) AS live_labels,
    (SELECT max(if(startsWith(verdict, '{'), verdict, '')) FROM judged) AS verdict,
    (SELECT max(number) FROM judged) AS verdict_job,
    (SELECT max(kind) FROM mine WHERE trigger_id IN (SELECT of_trigger FROM judged)) AS verdict_kind,
    (SELECT max(test_from) FROM mine WHERE trigger_id IN (SELECT of_trigger FROM judged)) AS verdict_from,
    (SELECT max(decided_at) FROM mine WHERE trigger_id IN (SELECT of_trigger FROM judged)) AS verdict_at,
    (SELECT max(drawn_at) FROM audit_draws WHERE task = {task:String} AND purpose = 'uniform') AS drew_at
