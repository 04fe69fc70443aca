-- Runs of offsets that no row and no dead letter accounts for: one row a run. missing: the broker still has the records,
-- lost: it removed them before they were accounted for, unread: not known yet, the next pass reads on, unknown: never to be
-- known, since the topic was made again (told for 30 days).
SELECT concat(topic, '/', toString(partition)) AS place, first, last, state, events, emitter, hour, note, checked_at
FROM offset_gaps FINAL
WHERE state IN ('missing', 'lost', 'unread') OR (state = 'unknown' AND checked_at >= now() - INTERVAL 30 DAY)
ORDER BY place, first
LIMIT 1000
