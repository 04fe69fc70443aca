-- Up to which offset each partition is accounted for: one row a partition.
SELECT topic, partition, proven, begin, committed, end, checked_at FROM offset_proofs FINAL ORDER BY topic, partition
