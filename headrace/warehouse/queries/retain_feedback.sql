-- Adds to `expired` the feedback of one partition whose id is of a time before `horizon`, and of which no row was ingested
-- since `arrived`. Repeated, it adds nothing.
INSERT INTO expired (feedback_id, tenant, revision, ground_truth, emitter, expired_at, why)
SELECT feedback_id, tenant, revision, ground_truth, emitter, now64(3), 'retention'
FROM feedback FINAL
WHERE _partition_id = {partition:String}
  AND toUInt128(feedback_id) < bitShiftLeft(toUInt128(toUnixTimestamp64Milli({horizon:DateTime64(3, 'UTC')})), 80)
  AND ingested_at < {arrived:DateTime64(3, 'UTC')}
  AND (toUInt128(feedback_id), tenant, revision, ground_truth) NOT IN
      -- both tables are in months of the ids' own time
      (SELECT toUInt128(feedback_id), tenant, revision, ground_truth FROM expired WHERE _partition_id = {partition:String})
-- each id comes once, in the order of the key
SETTINGS optimize_on_insert = 0
