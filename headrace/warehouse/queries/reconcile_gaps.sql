-- Runs of offsets that no row and no dead letter accounts for: one row a run. missing: the broker still has the records,
-- lost: it removed them before they were accounted for.
SELECT concat(topic, '/', toString(partition)) AS place, first, last, state, events, emitter, hour, note, checked_at
FROM offset_gaps FINAL
WHERE state IN ('missing', 'lost')
ORDER BY place, first
LIMIT 1000
