-- Adds to `expired_inferences` the answers whose id is of a time before `horizon`, and of which no row was ingested since
-- `arrived`: an import of old history may go on.
INSERT INTO expired_inferences (inference_id, tenant, emitter, expired_at)
SELECT inference_id, tenant, emitter, now64(3)
FROM inferences FINAL
WHERE toUInt128(inference_id) < bitShiftLeft(toUInt128(toUnixTimestamp64Milli({horizon:DateTime64(3, 'UTC')})), 80)
  AND ingested_at < {arrived:DateTime64(3, 'UTC')}
  AND (toUInt128(inference_id), tenant) NOT IN
      (SELECT toUInt128(inference_id), tenant FROM expired_inferences
       WHERE toUInt128(inference_id) IN
             -- so that the ids of all that ever expired are not read
             (SELECT toUInt128(inference_id) FROM inferences
              WHERE toUInt128(inference_id) < bitShiftLeft(toUInt128(toUnixTimestamp64Milli({horizon:DateTime64(3, 'UTC')})), 80)))
