-- What an expert, a judge or an outcome said is a row of its own beside what a user said under the same id, and not replaced
-- by it. A column of the sorting key has no default expression: rows of before are written again with their own value.
ALTER TABLE feedback ADD COLUMN IF NOT EXISTS ground_truth Bool AFTER inclusion_probability,
    MODIFY ORDER BY (toUInt128(feedback_id), tenant, revision, ground_truth);
ALTER TABLE parked ADD COLUMN IF NOT EXISTS ground_truth Bool AFTER revision,
    MODIFY ORDER BY (toUInt128(feedback_id), tenant, revision, ground_truth);
ALTER TABLE expired ADD COLUMN IF NOT EXISTS ground_truth Bool AFTER revision,
    MODIFY ORDER BY (toUInt128(feedback_id), tenant, revision, ground_truth);
ALTER TABLE feedback_waiting ADD COLUMN IF NOT EXISTS ground_truth Bool AFTER revision,
    MODIFY ORDER BY (toUInt128(feedback_id), tenant, revision, ground_truth);
INSERT INTO feedback SELECT * REPLACE (true AS ground_truth) FROM feedback FINAL
WHERE source NOT IN ('user', 'implicit') AND NOT feedback.ground_truth
SETTINGS throw_on_max_partitions_per_insert_block = 0;
DELETE FROM feedback WHERE source NOT IN ('user', 'implicit') AND NOT ground_truth;
INSERT INTO parked SELECT * REPLACE (true AS ground_truth) FROM parked FINAL
WHERE NOT parked.ground_truth AND (toUInt128(feedback_id), tenant, revision) IN
      (SELECT toUInt128(feedback_id), tenant, revision FROM feedback
       WHERE ground_truth AND toUInt128(feedback_id) IN (SELECT toUInt128(feedback_id) FROM parked))
SETTINGS throw_on_max_partitions_per_insert_block = 0;
DELETE FROM parked WHERE NOT ground_truth AND (toUInt128(feedback_id), tenant, revision) IN
    (SELECT toUInt128(feedback_id), tenant, revision FROM parked WHERE ground_truth);
INSERT INTO expired SELECT * REPLACE (true AS ground_truth) FROM expired FINAL
WHERE NOT expired.ground_truth AND (toUInt128(feedback_id), tenant, revision) IN
      (SELECT toUInt128(feedback_id), tenant, revision FROM feedback
       WHERE ground_truth AND toUInt128(feedback_id) IN (SELECT toUInt128(feedback_id) FROM expired))
SETTINGS throw_on_max_partitions_per_insert_block = 0;
DELETE FROM expired WHERE NOT ground_truth AND (toUInt128(feedback_id), tenant, revision) IN
    (SELECT toUInt128(feedback_id), tenant, revision FROM expired WHERE ground_truth);
INSERT INTO feedback_waiting SELECT * REPLACE (true AS ground_truth) FROM feedback_waiting FINAL
WHERE NOT feedback_waiting.ground_truth AND (toUInt128(feedback_id), tenant, revision) IN
      (SELECT toUInt128(feedback_id), tenant, revision FROM feedback
       WHERE ground_truth AND toUInt128(feedback_id) IN (SELECT toUInt128(feedback_id) FROM feedback_waiting))
SETTINGS throw_on_max_partitions_per_insert_block = 0;
DELETE FROM feedback_waiting WHERE NOT ground_truth AND (toUInt128(feedback_id), tenant, revision) IN
    (SELECT toUInt128(feedback_id), tenant, revision FROM feedback_waiting WHERE ground_truth);
