-- Deletes the ids that stand for texts of emitters and are of a time before `horizon`, of those that were ingested before `arrived`.
-- When it returns they are off this server's disk.
ALTER TABLE foreign_ids DELETE IN PARTITION ID {partition:String}
WHERE toUInt128(event_id) < bitShiftLeft(toUInt128(toUnixTimestamp64Milli({horizon:DateTime64(3, 'UTC')})), 80)
  AND ingested_at < {arrived:DateTime64(3, 'UTC')}
SETTINGS mutations_sync = 1
