-- The newest answer of each task of `tasks` that has any, as in windows_touched.sql: its event time, at most the time at which
-- it was stored, and when the last one was stored. Reads all of history: it is asked once, of tasks that were never counted.
SELECT task,
       if(countIf(NOT is_ahead) > 0, maxIf(moment, NOT is_ahead), max(moment)) AS newest,
       max(ingested_at) AS arrived_at
FROM
(
    SELECT task, ingested_at, least(occurred_at, toDateTime64(ingested_at, 6, 'UTC')) AS moment,
           occurred_at > ingested_at + toIntervalMillisecond(toInt64({ahead_s:Float64} * 1000)) AS is_ahead
    FROM inferences
    WHERE task IN {tasks:Array(String)}
)
GROUP BY task
