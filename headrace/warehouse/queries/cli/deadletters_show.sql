-- The dead letters of a place, the newest first: more than one where the topic was made again. Each with its original bytes in base64, or with the excerpt of an original that stays in its topic.
SELECT topic, partition, offset, record_index, digest, at, code, event_id, reason, original, excerpt
FROM dead_letters FINAL
WHERE topic = {topic:String} AND partition = {partition:UInt16} AND offset = {offset:UInt64}
  AND record_index = {index:Int32}
ORDER BY at DESC, digest
