-- New feedback up to {until} that no (better) answer was found for waits for one to arrive, or stays done as it was.
INSERT INTO feedback_waiting
    (feedback_id, tenant, revision, ground_truth, occurred_at, task, session_id, trace_id, span_id, response_id, given_inference_id,
     received_at, step, state, inference_id, answered_at, resolved_by, closeness)
SELECT feedback_id, tenant, revision, ground_truth, occurred_at, task, session_id, trace_id, span_id, response_id, given_inference_id,
       received_at, step + 1,
       if(resolved_by = '', 'waiting', 'done'), inference_id, answered_at, resolved_by, closeness
FROM feedback_waiting FINAL
WHERE state = 'new' AND occurred_at <= {until:DateTime64(6, 'UTC')}
