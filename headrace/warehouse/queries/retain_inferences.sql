-- Adds to `expired_inferences` the answers of one partition whose id is of a time before `horizon`, and of which no row was
-- ingested since `arrived`: an import of old history may go on. Repeated, it adds nothing.
INSERT INTO expired_inferences (inference_id, tenant, emitter, expired_at)
SELECT inference_id, tenant, emitter, now64(3)
FROM inferences FINAL
WHERE _partition_id = {partition:String}
  AND toUInt128(inference_id) < bitShiftLeft(toUInt128(toUnixTimestamp64Milli({horizon:DateTime64(3, 'UTC')})), 80)
  AND ingested_at < {arrived:DateTime64(3, 'UTC')}
  AND (toUInt128(inference_id), tenant) NOT IN
      -- both tables are in months of the ids' own time
      (SELECT toUInt128(inference_id), tenant FROM expired_inferences WHERE _partition_id = {partition:String})
-- each id comes once, in the order of the key
SETTINGS optimize_on_insert = 0
