-- Parked feedback by age: one row a span of age of its ids, tenant and source, the oldest first; waits_for says what
-- its inference is known by.
SELECT
    multiIf(age < 3600, 'under an hour', age < 86400, 'under a day', age < 7 * 86400, 'under a week',
            age < 30 * 86400, 'under 30 days', '30 days and more') AS age_of_id,
    tenant, source,
    multiIf(toUInt128(inference_id) != 0, 'inference_id', response_id != '', 'response_id', span_id != '', 'span_id',
            trace_id != '', 'trace_id', 'session_id') AS waits_for,
    count() AS feedback,
    fromUnixTimestamp64Milli(min(at), 'UTC') AS oldest
FROM
(
    SELECT *, toInt64(bitShiftRight(toUInt128(feedback_id), 80)) AS at,
           intDiv(toUnixTimestamp64Milli(now64(3)) - at, 1000) AS age
    FROM feedback_parked
)
GROUP BY age_of_id, tenant, source, waits_for
ORDER BY min(at)
