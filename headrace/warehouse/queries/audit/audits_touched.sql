-- Answers whose audit may have changed since the last copy: one row a day of answers, oldest first.
-- day: as the answers' ids say (UTC)
-- times: how often they were touched
-- ids: theirs, at most `most` of them a day
SELECT toDate(UUIDv7ToDateTime(inference_id, 'UTC')) AS day, count() AS times,
       groupUniqArray({most:UInt32})(inference_id) AS ids
FROM audit_touched
GROUP BY day
ORDER BY day
