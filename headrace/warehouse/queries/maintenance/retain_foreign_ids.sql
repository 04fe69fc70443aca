-- Partitions with ids that stand for texts of emitters and may go: of a time before `horizon`, ingested before `arrived`.
SELECT DISTINCT _partition_id AS partition
FROM foreign_ids
WHERE toUInt128(event_id) < bitShiftLeft(toUInt128(toUnixTimestamp64Milli({horizon:DateTime64(3, 'UTC')})), 80)
  AND ingested_at < {arrived:DateTime64(3, 'UTC')}
