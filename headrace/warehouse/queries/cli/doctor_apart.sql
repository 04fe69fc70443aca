-- Emitters of answers that were stored in the last day and whose ids are of a time more than a day from the answer's own: no window
-- counts such an answer. One row an emitter, those with most of them first, `most` at most, with one of the ids.
SELECT emitter, count() AS answers, toString(max(inference_id)) AS example
FROM inferences
WHERE ingested_at >= now64(3) - INTERVAL 1 DAY
  AND abs(toInt64(bitShiftRight(toUInt128(inference_id), 80)) - toUnixTimestamp64Milli(occurred_at)) > 86400000
GROUP BY emitter
ORDER BY answers DESC, emitter
LIMIT {most:UInt32}
