-- The newest dead letters: one row a record, or an event of a packed one, that could not become a row.
-- place: topic/partition/offset/index, where index -1 is the whole record.
SELECT concat(topic, '/', toString(partition), '/', toString(offset), '/', toString(record_index)) AS place,
       at, code, event_id, length(tryBase64Decode(original)) AS bytes, reason
FROM dead_letters FINAL
ORDER BY at DESC, topic, partition, offset DESC, record_index
LIMIT {rows:UInt32}
