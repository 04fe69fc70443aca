-- Up to which offset each partition is accounted for: one row a partition.
SELECT topic, partition, topic_id, proven, begin, committed, end, since, checked_at
FROM offset_proofs FINAL
ORDER BY topic, partition
