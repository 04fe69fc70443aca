-- The clock that parked feedback ages by: the time of the newest stored inference, never later than ClickHouse's own
-- clock (`now`), so that an emitter whose clock is ahead expires nothing. One row; none where nothing is stored.
SELECT UUIDv7ToDateTime(inference_id, 'UTC') AS newest, now64(3, 'UTC') AS now
FROM inferences
WHERE toUInt128(inference_id) <= bitShiftLeft(toUInt128(toUnixTimestamp64Milli(now64(3)) + 1), 80)
ORDER BY toUInt128(inference_id) DESC
LIMIT 1
