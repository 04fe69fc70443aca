-- Deletes the rows of one partition of arrivals that are of a time before `horizon` and were ingested before `arrived`; what
-- came since then stays. When it returns they are off this server's disk.
ALTER TABLE arrivals DELETE IN PARTITION ID {partition:String}
WHERE toUInt128(event_id) < bitShiftLeft(toUInt128(toUnixTimestamp64Milli({horizon:DateTime64(3, 'UTC')})), 80)
  AND ingested_at < {arrived:DateTime64(3, 'UTC')}
SETTINGS mutations_sync = 1
