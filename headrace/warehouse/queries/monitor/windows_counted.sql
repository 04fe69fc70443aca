-- The windows of one task that were counted and overlap the time from `window_from` up to `window_to` (milliseconds since 1970),
-- whatever their size. One row each.
-- expired: whether retention took answers whose ids are of an hour that the window overlaps
WITH
    counted AS
    (
        SELECT DISTINCT toUnixTimestamp64Milli(window_from) AS since, toUnixTimestamp64Milli(window_to) AS until
        FROM windows FINAL
        WHERE task = {task:String} AND requests > 0
          AND window_from < fromUnixTimestamp64Milli({window_to:Int64}, 'UTC')
          AND window_to > fromUnixTimestamp64Milli({window_from:Int64}, 'UTC')
    ),
    (SELECT (min(since), max(until)) FROM counted) AS reach,
    (
        SELECT groupUniqArray(intDiv(toInt64(bitShiftRight(toUInt128(inference_id), 80)), 3600000)) FROM expired_inferences
        WHERE toUInt128(inference_id) >= bitShiftLeft(toUInt128(greatest(0, intDiv(reach.1, 3600000) * 3600000)), 80)
          AND toUInt128(inference_id) < bitShiftLeft(toUInt128(greatest(0, intDiv(reach.2 + 3599999, 3600000) * 3600000)), 80)
    ) AS hours
SELECT since, until,
       arrayExists(hour -> hour BETWEEN intDiv(since, 3600000) AND intDiv(until - 1, 3600000), hours) AS expired
FROM counted
SETTINGS max_execution_time = 60
