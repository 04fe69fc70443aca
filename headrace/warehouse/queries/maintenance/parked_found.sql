-- Marks what is in `parked`, is of a time before `horizon_ms` (milliseconds since 1970), and waits no longer: its inference is there,
-- and no pass has seen it come.
INSERT INTO parked (feedback_id, tenant, revision, ground_truth, inference_id, resolved, emitter, known_at, gone)
SELECT feedback_id, tenant, revision, ground_truth, inference_id, resolved, emitter, greatest(now64(6), known_at + INTERVAL 1 MICROSECOND), 1
FROM parked_answered(horizon_ms = {horizon_ms:Int64})
