-- Answers whose audit may have changed since the last copy, by their ids: at most `most` of them.
-- id: the answer's, as a number
-- day: as the id says (UTC)
SELECT DISTINCT toUInt128(inference_id) AS id, toDate(UUIDv7ToDateTime(inference_id, 'UTC')) AS day
FROM audit_touched
ORDER BY id
LIMIT {most:UInt32}
