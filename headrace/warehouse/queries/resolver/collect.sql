-- Feedback that came since {since} and names its answer by a reference alone begins to wait, each once.
INSERT INTO feedback_waiting
    (feedback_id, tenant, revision, ground_truth, occurred_at, task, session_id, trace_id, span_id, response_id,
     given_inference_id, received_at, step, state)
SELECT feedback_id, tenant, revision, ground_truth, occurred_at, task, session_id, trace_id, span_id, response_id,
       given_inference_id, ingested_at, 0, 'new'
FROM feedback
WHERE ingested_at >= {since:DateTime64(3, 'UTC')} AND resolved = 0
  AND inference_id = toUUID('00000000-0000-0000-0000-000000000000')
  -- a row of feedback_waiting is younger than the feedback it is about, so those before {since} need no reading
  AND (toUInt128(feedback_id), tenant, revision, ground_truth) NOT IN
      (SELECT toUInt128(feedback_id), tenant, revision, ground_truth FROM feedback_waiting
       WHERE ingested_at >= {since:DateTime64(3, 'UTC')})
