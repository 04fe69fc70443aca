-- Adds to `expired` the feedback that is parked, whose id is of a time before `horizon_ms` (milliseconds since 1970), and of
-- which no row was ingested since `arrived` (what was imported just now may have its inference on the way). Feedback whose
-- inference is there does not expire, whatever a pass wrote down.
INSERT INTO expired (feedback_id, tenant, revision, ground_truth, emitter, expired_at)
SELECT feedback_id, tenant, revision, ground_truth, emitter, now64(3)
FROM parked_now
WHERE toUInt128(feedback_id) < bitShiftLeft(toUInt128({horizon_ms:Int64}), 80)
  AND (toUInt128(feedback_id), tenant, revision, ground_truth) NOT IN
      (SELECT toUInt128(feedback_id), tenant, revision, ground_truth FROM feedback
       WHERE ingested_at >= {arrived:DateTime64(3, 'UTC')}
         -- so that a day's feedback is not read for the few that are due
         AND toUInt128(feedback_id) < bitShiftLeft(toUInt128({horizon_ms:Int64}), 80)
         AND toUInt128(feedback_id) IN (SELECT toUInt128(feedback_id) FROM parked_now))
  AND (toUInt128(feedback_id), tenant, revision, ground_truth) NOT IN
      (SELECT toUInt128(feedback_id), tenant, revision, ground_truth
       FROM parked_answered(horizon_ms = {horizon_ms:Int64}))
SETTINGS max_bytes_before_external_group_by = 300000000
