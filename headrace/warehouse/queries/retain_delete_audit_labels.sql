-- Deletes the audit's copies of questions whose answers of before `horizon` have expired; when it returns they are off the
-- disk. It runs before those answers go, since their rows are what says that there is something to delete.
ALTER TABLE audit_labels DELETE
WHERE toUInt128(inference_id) < bitShiftLeft(toUInt128(toUnixTimestamp64Milli({horizon:DateTime64(3, 'UTC')})), 80)
  AND (toUInt128(inference_id), tenant) IN
      (SELECT toUInt128(inference_id), tenant FROM expired_inferences
       WHERE toUInt128(inference_id) IN
             -- so that the ids of all that ever expired are not read
             (SELECT toUInt128(inference_id) FROM audit_labels
              WHERE toUInt128(inference_id) < bitShiftLeft(toUInt128(toUnixTimestamp64Milli({horizon:DateTime64(3, 'UTC')})), 80)))
SETTINGS mutations_sync = 2
