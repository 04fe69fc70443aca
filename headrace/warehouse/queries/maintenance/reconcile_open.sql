-- Runs of offsets that a pass looks into again, those first that nobody has read, the others in a random order, so that each
-- has its turn: one row a run.
SELECT topic, partition, topic_id, first, last, state, events, emitter, hour, note
FROM offset_gaps FINAL
WHERE state IN ('unread', 'missing')
ORDER BY state = 'missing', rand()
LIMIT {rows:UInt32}
