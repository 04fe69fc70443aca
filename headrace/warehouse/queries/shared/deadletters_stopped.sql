-- The newest word on each partition that was ever stopped: stopped, or accepted through an offset. One row a partition.
SELECT topic, partition, state, at, offset, through, events, poison, reason, by
FROM stopped_partitions FINAL
ORDER BY at DESC
LIMIT 1 BY topic, partition
