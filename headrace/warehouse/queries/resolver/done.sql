-- What was found is written.
INSERT INTO feedback_waiting
    (feedback_id, tenant, revision, ground_truth, occurred_at, task, session_id, trace_id, span_id, response_id, given_inference_id,
     received_at, step, state, inference_id, answered_at, resolved_by, closeness)
SELECT feedback_id, tenant, revision, ground_truth, occurred_at, task, session_id, trace_id, span_id, response_id, given_inference_id,
       received_at, step + 1, 'done',
       inference_id, answered_at, resolved_by, closeness
FROM feedback_waiting FINAL
WHERE state = 'found'
