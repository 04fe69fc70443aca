-- Waiting feedback is looked at anew when an answer that came since {since} has its reference, and so is feedback that
-- has an answer by a session or a trace when a better one came: its row becomes `new` and keeps what it had.
INSERT INTO feedback_waiting
    (feedback_id, tenant, revision, ground_truth, occurred_at, task, session_id, trace_id, span_id, response_id, step, state,
     inference_id, answered_at, resolved_by)
SELECT feedback_id, tenant, revision, ground_truth, occurred_at, task, session_id, trace_id, span_id, response_id, step + 1, 'new',
       inference_id, answered_at, resolved_by
FROM feedback_waiting FINAL
WHERE (state = 'waiting' OR state = 'done' AND resolved_by IN ('trace', 'session'))
  AND (toUInt128(feedback_id), tenant, revision, ground_truth) IN
(
    SELECT id, tenant, revision, ground_truth
    FROM
    (
        -- Read in a stream; what waits is the table in memory.
        SELECT tenant AS its_tenant, task AS its_task, occurred_at AS at, its_name, its_strength
        FROM inferences
        ARRAY JOIN [session_id, trace_id, span_id, response_id] AS its_name, [1, 2, 3, 4] AS its_strength
        WHERE ingested_at >= {since:DateTime64(3, 'UTC')} AND arm != 'shadow' AND its_name != ''
    ) AS a
    INNER JOIN
    (
        SELECT toUInt128(feedback_id) AS id, tenant, revision, ground_truth, task, occurred_at, name, strength,
               (indexOf(['session', 'trace', 'span', 'response'], resolved_by), answered_at) AS had,
               span_id = '' AND response_id = '' AS loose
        FROM feedback_waiting FINAL
        ARRAY JOIN [session_id, trace_id, span_id, response_id] AS name, [1, 2, 3, 4] AS strength
        WHERE (state = 'waiting' OR state = 'done' AND resolved_by IN ('trace', 'session')) AND name != ''
    ) AS w ON its_tenant = tenant AND its_name = name AND its_strength = strength
    WHERE task IN ('', its_task) AND (strength, at) > had AND (strength > 2 OR loose AND at <= occurred_at)
)
