-- The newest answer of each task of `tasks`, among those whose ids are not more than a day older than `since`, as in
-- monitor/windows_touched.sql: its event time, at most the time at which it was stored and `now`, and when the last one was stored. One row a task
-- that has any. No other answer of a task is newer than one from `since` on.
SELECT task,
       if(countIf(NOT is_ahead) > 0, maxIf(moment, NOT is_ahead), max(moment)) AS newest,
       maxIf(ingested_at, ingested_at <= {now:DateTime64(6, 'UTC')}) AS arrived_at
FROM
(
    SELECT task, ingested_at, least(toDateTime64(ingested_at, 6, 'UTC'), {now:DateTime64(6, 'UTC')}) AS latest, least(occurred_at, latest) AS moment,
           occurred_at > latest + toIntervalMillisecond(toInt64({ahead_s:Float64} * 1000)) AS is_ahead
    FROM inferences
    WHERE task IN {tasks:Array(String)}
      AND toUInt128(inference_id) >= bitShiftLeft(toUInt128(greatest(0, toUnixTimestamp64Milli({since:DateTime64(6, 'UTC')}) - 86400000)), 80)
)
GROUP BY task
