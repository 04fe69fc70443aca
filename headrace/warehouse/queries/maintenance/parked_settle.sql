-- Adds to `parked` the feedback that is parked now and is not in it yet. A row is later than the one that it replaces, however the
-- clock was set meanwhile; no other is looked for than those of later than now.
INSERT INTO parked (feedback_id, tenant, revision, ground_truth, inference_id, resolved, emitter, known_at, gone)
SELECT feedback_id, tenant, revision, ground_truth, inference_id, resolved, emitter, greatest(now64(6), last + INTERVAL 1 MICROSECOND), 0
FROM parked_now
LEFT JOIN
(
    SELECT feedback_id, tenant, revision, ground_truth, max(known_at) AS last FROM parked
    WHERE known_at >= now64(6)
    GROUP BY feedback_id, tenant, revision, ground_truth
) AS ahead USING (feedback_id, tenant, revision, ground_truth)
WHERE (toUInt128(feedback_id), tenant, revision, ground_truth, resolved) NOT IN
      (SELECT toUInt128(feedback_id), tenant, revision, ground_truth, resolved FROM parked FINAL)
SETTINGS max_bytes_before_external_group_by = 300000000
