-- Marks what is in `parked` and is parked no longer: its inference came, or it expired. Its row is later than the one that it
-- replaces, however the clock was set meanwhile.
INSERT INTO parked (feedback_id, tenant, revision, ground_truth, inference_id, resolved, emitter, known_at, gone)
SELECT feedback_id, tenant, revision, ground_truth, inference_id, resolved, emitter, greatest(now64(6), known_at + INTERVAL 1 MICROSECOND), 1
FROM parked FINAL
WHERE (toUInt128(feedback_id), tenant, revision, ground_truth) NOT IN
      (SELECT toUInt128(feedback_id), tenant, revision, ground_truth FROM parked_now)
SETTINGS max_bytes_before_external_group_by = 300000000
