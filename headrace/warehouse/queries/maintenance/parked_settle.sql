-- Adds to `parked` the feedback that is parked now and is not in it yet.
INSERT INTO parked (feedback_id, tenant, revision, ground_truth, inference_id, resolved, emitter, known_at, gone)
SELECT feedback_id, tenant, revision, ground_truth, inference_id, resolved, emitter, now64(6), 0
FROM parked_now
WHERE (toUInt128(feedback_id), tenant, revision, ground_truth, resolved) NOT IN
      (SELECT toUInt128(feedback_id), tenant, revision, ground_truth, resolved FROM parked FINAL)
SETTINGS max_bytes_before_external_group_by = 300000000
