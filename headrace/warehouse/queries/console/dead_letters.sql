-- The newest dead letters: one row a record, or an event of a packed one, that could not become a row.
SELECT topic, partition, offset, record_index, at, reason, code
FROM dead_letters FINAL
ORDER BY at DESC, topic, partition, offset DESC, record_index
LIMIT {rows:UInt32}
