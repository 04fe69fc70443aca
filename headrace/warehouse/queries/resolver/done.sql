-- What was found is written.
INSERT INTO feedback_waiting
    (feedback_id, tenant, revision, ground_truth, occurred_at, task, session_id, trace_id, span_id, response_id, step, state,
     inference_id, answered_at, resolved_by)
SELECT feedback_id, tenant, revision, ground_truth, occurred_at, task, session_id, trace_id, span_id, response_id, step + 1, 'done',
       inference_id, answered_at, resolved_by
FROM feedback_waiting FINAL
WHERE state = 'found'
