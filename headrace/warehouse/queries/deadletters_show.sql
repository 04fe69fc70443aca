-- One dead letter, with its original bytes in base64.
SELECT topic, partition, offset, record_index, at, code, event_id, reason, original
FROM dead_letters FINAL
WHERE topic = {topic:String} AND partition = {partition:UInt16} AND offset = {offset:UInt64}
  AND record_index = {index:Int32}
