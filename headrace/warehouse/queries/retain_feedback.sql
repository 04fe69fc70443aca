-- Adds to `expired` the feedback whose id is of a time before `horizon`, and of which no row was ingested since `arrived`.
INSERT INTO expired (feedback_id, tenant, revision, ground_truth, emitter, expired_at, why)
SELECT feedback_id, tenant, revision, ground_truth, emitter, now64(3), 'retention'
FROM feedback FINAL
WHERE toUInt128(feedback_id) < bitShiftLeft(toUInt128(toUnixTimestamp64Milli({horizon:DateTime64(3, 'UTC')})), 80)
  AND ingested_at < {arrived:DateTime64(3, 'UTC')}
  AND (toUInt128(feedback_id), tenant, revision, ground_truth) NOT IN
      (SELECT toUInt128(feedback_id), tenant, revision, ground_truth FROM expired
       WHERE toUInt128(feedback_id) IN
             -- so that the ids of all that ever expired are not read
             (SELECT toUInt128(feedback_id) FROM feedback
              WHERE toUInt128(feedback_id) < bitShiftLeft(toUInt128(toUnixTimestamp64Milli({horizon:DateTime64(3, 'UTC')})), 80)))
