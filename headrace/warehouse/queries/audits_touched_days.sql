-- Days with answers whose audit may have changed since the last copy, oldest first, and how often each was touched.
-- day: as the answers' ids say (UTC)
SELECT toDate(UUIDv7ToDateTime(inference_id, 'UTC')) AS day, count() AS times
FROM audit_touched
GROUP BY day
ORDER BY day
