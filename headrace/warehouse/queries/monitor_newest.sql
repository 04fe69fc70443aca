-- The newest answer of each task of `tasks` that has any among those whose ids are of a time from `since` up to before `until`
-- (milliseconds since 1970), as in windows_touched.sql: its event time, at most the time at which it was stored, and when the
-- last one of these was stored. It is asked of tasks that were never counted, of older and older spans.
SELECT task,
       if(countIf(NOT is_ahead) > 0, maxIf(moment, NOT is_ahead), max(moment)) AS newest,
       max(ingested_at) AS arrived_at
FROM
(
    SELECT task, ingested_at, least(occurred_at, toDateTime64(ingested_at, 6, 'UTC')) AS moment,
           occurred_at > ingested_at + toIntervalMillisecond(toInt64({ahead_s:Float64} * 1000)) AS is_ahead
    FROM inferences
    WHERE task IN {tasks:Array(String)}
      AND toUInt128(inference_id) >= bitShiftLeft(toUInt128({since:Int64}), 80)
      AND toUInt128(inference_id) < bitShiftLeft(toUInt128({until:Int64}), 80)
)
GROUP BY task
