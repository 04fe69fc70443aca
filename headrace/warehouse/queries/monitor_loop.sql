-- How busy a task's loop is. One row.
-- triggers: made since the live version became live; last_at: the last trigger ever, by event time (1970 for none)
-- waiting: a trigger of the last quarter of an hour (wall clock) that no job has answered yet, else ''
-- open_job, open_state: a job whose latest state is not final, else ''
WITH
    mine AS (SELECT * FROM triggers FINAL WHERE task = {task:String}),
    latest AS
    (
        SELECT job_id, any(trigger_id) AS of_trigger, argMax(state, (attempt, at, heartbeat_at)) AS state
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
    )
SELECT
    (SELECT countIf(decided_at >= {since:DateTime64(6, 'UTC')}) FROM mine) AS triggers,
    (SELECT max(decided_at) FROM mine) AS last_at,
    (SELECT groupArray(toString(trigger_id)) FROM mine WHERE decided_at >= {since:DateTime64(6, 'UTC')}) AS trigger_ids,
    (SELECT max(id) FROM waiting) AS waiting,
    (SELECT max(id) FROM busy) AS open_job,
    (SELECT max(state) FROM busy) AS open_state
