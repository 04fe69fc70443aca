-- Deletes the rows of feedback of before `horizon` that have expired; when it returns they are off the disk.
ALTER TABLE feedback DELETE
WHERE toUInt128(feedback_id) < bitShiftLeft(toUInt128(toUnixTimestamp64Milli({horizon:DateTime64(3, 'UTC')})), 80)
  AND (toUInt128(feedback_id), tenant, revision, ground_truth) IN
      (SELECT toUInt128(feedback_id), tenant, revision, ground_truth FROM expired
       WHERE toUInt128(feedback_id) IN
             -- so that the ids of all that ever expired are not read
             (SELECT toUInt128(feedback_id) FROM feedback
              WHERE toUInt128(feedback_id) < bitShiftLeft(toUInt128(toUnixTimestamp64Milli({horizon:DateTime64(3, 'UTC')})), 80)))
SETTINGS mutations_sync = 2
