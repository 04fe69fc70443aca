-- Deletes the rows of answers of before `horizon` that have expired; when it returns they are off the disk. Only these: a
-- row that came in the meantime stays, and expires with a later pass.
ALTER TABLE inferences DELETE
WHERE toUInt128(inference_id) < bitShiftLeft(toUInt128(toUnixTimestamp64Milli({horizon:DateTime64(3, 'UTC')})), 80)
  AND (toUInt128(inference_id), tenant) IN
      (SELECT toUInt128(inference_id), tenant FROM expired_inferences
       WHERE toUInt128(inference_id) IN
             -- so that the ids of all that ever expired are not read
             (SELECT toUInt128(inference_id) FROM inferences
              WHERE toUInt128(inference_id) < bitShiftLeft(toUInt128(toUnixTimestamp64Milli({horizon:DateTime64(3, 'UTC')})), 80)))
SETTINGS mutations_sync = 2
