-- Finds answers for the new feedback up to {until}: its rows become `found`, with the answer and how it was found.
--   response, span   the answer that bears the same response_id, or span_id (and trace_id where the feedback has one)
--   trace, session   the last answer in it that was given within {loose_s} seconds before the feedback; only for
--                    feedback that names no response and no span, and a trace goes before a session
-- Of several answers the best: greatest (strength, occurred_at, inference_id), if better than what it had.
-- An answer is what its last revision says. Shadows were shown to nobody. Only ids between {first_id} and {last_id} are read, and
-- of those what bloom filters leave.
INSERT INTO feedback_waiting
    (feedback_id, tenant, revision, ground_truth, occurred_at, task, session_id, trace_id, span_id, response_id, step, state,
     inference_id, answered_at, resolved_by)
WITH
    wanted AS
    (
        SELECT *, (indexOf(['session', 'trace', 'span', 'response'], resolved_by), answered_at) AS had
        FROM feedback_waiting FINAL
        WHERE state = 'new' AND occurred_at <= {until:DateTime64(6, 'UTC')}
    ),
    answers AS
    (
        SELECT tenant AS its_tenant, task AS its_task, inference_id AS answer, occurred_at AS at,
               response_id AS its_response, span_id AS its_span, trace_id AS its_trace, session_id AS its_session
        FROM inferences FINAL
        WHERE arm != 'shadow'
          AND toUInt128(inference_id) BETWEEN toUInt128({first_id:UUID}) AND toUInt128({last_id:UUID})
    ),
    matches AS
    (
        SELECT w.*, answer, at, 4 AS strength
        FROM (SELECT * FROM answers
              WHERE its_response IN (SELECT response_id FROM wanted WHERE response_id != '')) AS a
        INNER JOIN wanted AS w ON its_tenant = tenant AND its_response = response_id
        WHERE task IN ('', its_task)
        UNION ALL
        SELECT w.*, answer, at, 3 AS strength
        FROM (SELECT * FROM answers WHERE its_span IN (SELECT span_id FROM wanted WHERE span_id != '')) AS a
        INNER JOIN wanted AS w ON its_tenant = tenant AND its_span = span_id
        WHERE task IN ('', its_task) AND trace_id IN ('', its_trace)
        UNION ALL
        SELECT w.*, answer, at, 2 AS strength
        FROM (SELECT * FROM answers
              WHERE its_trace IN (SELECT trace_id FROM wanted WHERE trace_id != '' AND span_id = '' AND response_id = '')) AS a
        INNER JOIN wanted AS w ON its_tenant = tenant AND its_trace = trace_id
        WHERE task IN ('', its_task) AND span_id = '' AND response_id = ''
          AND at <= occurred_at AND at >= occurred_at - {loose_s:UInt32}
        UNION ALL
        SELECT w.*, answer, at, 1 AS strength
        FROM (SELECT * FROM answers
              WHERE its_session IN (SELECT session_id FROM wanted WHERE session_id != '' AND span_id = '' AND response_id = '')) AS a
        INNER JOIN wanted AS w ON its_tenant = tenant AND its_session = session_id
        WHERE task IN ('', its_task) AND span_id = '' AND response_id = ''
          AND at <= occurred_at AND at >= occurred_at - {loose_s:UInt32}
    )
SELECT feedback_id, tenant, revision, ground_truth, any(occurred_at), any(task), any(session_id), any(trace_id), any(span_id),
       any(response_id), any(step) + 1, 'found',
       (argMax((answer, at, strength), (strength, at, toUInt128(answer))) AS best).1,
       best.2, ['session', 'trace', 'span', 'response'][best.3]
FROM matches
GROUP BY feedback_id, tenant, revision, ground_truth
HAVING (best.3, best.2) > any(had)
