-- Finds answers for the new feedback up to {until}: its rows become `found`, with the answer and how it was found.
--   id        the answer that its emitter calls so, or else that bears this response_id
--   response  the answer that bears the same response_id, or else that its emitter calls so
--   span      the answer that bears the same span_id, and trace_id where the feedback has one
--   trace     the last answer in it, whatever the clocks say
--   session   the answer in it that had begun last when the feedback was given, within {loose_s} seconds; where none had,
--             the one that began first within {early_s} seconds after it: the feedback's clock is behind
-- Feedback was given when it says, and not after it had arrived. An answer had begun by the time of its id at the latest (where
-- that is at most a day before): sent again with another time it has begun when it had. A trace, which goes before a session,
-- counts for feedback that names no id and no response, and no span either but one of that trace: of a span that is no answer's
-- own, an agent's around it or a later request's, the trace or the session says which is meant. closeness orders the answers that were found in one way: of several answers the best is the
-- greatest (way, closeness, inference_id), if better than what it had. 5000000000000000 is a time in microseconds after all others.
-- An answer is what its last revision says. Shadows were shown to nobody. Only ids between {first_id} and {last_id} are read, and
-- of those what bloom filters leave.
INSERT INTO feedback_waiting
    (feedback_id, tenant, revision, ground_truth, occurred_at, task, session_id, trace_id, span_id, response_id, given_inference_id,
     received_at, step, state, inference_id, answered_at, resolved_by, closeness)
WITH
    wanted AS
    (
        SELECT *, (indexOf(['session', 'trace', 'span', 'response', 'id'], resolved_by), closeness, toUInt128(inference_id)) AS had,
               toUnixTimestamp64Micro(least(occurred_at, toDateTime64(received_at, 6, 'UTC'))) AS given,
               (span_id = '' OR trace_id != '') AND response_id = '' AND given_inference_id = '' AS loose
        FROM feedback_waiting FINAL
        WHERE state = 'new' AND occurred_at <= {until:DateTime64(6, 'UTC')}
    ),
    answers AS
    (
        SELECT tenant AS its_tenant, task AS its_task, inference_id AS answer, occurred_at AS at,
               response_id AS its_response, span_id AS its_span, trace_id AS its_trace, session_id AS its_session, given_id AS its_given,
               toUnixTimestamp64Micro(occurred_at) AS ended,
               1000 * toInt64(bitShiftRight(toUInt128(inference_id), 80)) AS made,
               least(ended - toInt64(1000 * least(latency_ms, 86400000)), if(made < ended - 86400000000, ended, made)) AS begun
        FROM inferences FINAL
        WHERE arm != 'shadow'
          AND toUInt128(inference_id) BETWEEN toUInt128({first_id:UUID}) AND toUInt128({last_id:UUID})
    ),
    named AS
    (
        SELECT feedback_id, tenant, revision, ground_truth, task, name, way
        FROM wanted ARRAY JOIN [response_id, given_inference_id] AS name, [4, 5] AS way WHERE name != ''
    ),
    matches AS
    (
        SELECT feedback_id, tenant, revision, ground_truth, answer, at, way AS strength, if(way = 4, ended, ended - 5000000000000000) AS close
        FROM (SELECT * FROM answers WHERE its_response IN (SELECT name FROM named)) AS a
        INNER JOIN named AS w ON its_tenant = tenant AND its_response = name
        WHERE task IN ('', its_task)
        UNION ALL
        SELECT feedback_id, tenant, revision, ground_truth, answer, at, way AS strength, if(way = 5, ended, ended - 5000000000000000) AS close
        FROM (SELECT * FROM answers WHERE its_given IN (SELECT name FROM named)) AS a
        INNER JOIN named AS w ON its_tenant = tenant AND its_given = name
        WHERE task IN ('', its_task)
        UNION ALL
        SELECT feedback_id, tenant, revision, ground_truth, answer, at, 3 AS strength, ended AS close
        FROM (SELECT * FROM answers WHERE its_span IN (SELECT span_id FROM wanted WHERE span_id != '')) AS a
        INNER JOIN wanted AS w ON its_tenant = tenant AND its_span = span_id
        WHERE task IN ('', its_task) AND trace_id IN ('', its_trace)
        UNION ALL
        SELECT feedback_id, tenant, revision, ground_truth, answer, at, 2 AS strength, ended AS close
        FROM (SELECT * FROM answers WHERE its_trace IN (SELECT trace_id FROM wanted WHERE trace_id != '' AND loose)) AS a
        INNER JOIN wanted AS w ON its_tenant = tenant AND its_trace = trace_id
        WHERE task IN ('', its_task) AND loose
        UNION ALL
        SELECT feedback_id, tenant, revision, ground_truth, answer, at, 1 AS strength, if(begun <= given, begun, -begun) AS close
        FROM (SELECT * FROM answers WHERE its_session IN (SELECT session_id FROM wanted WHERE session_id != '' AND loose)) AS a
        INNER JOIN wanted AS w ON its_tenant = tenant AND its_session = session_id
        WHERE task IN ('', its_task) AND loose
          AND begun BETWEEN given - 1000000 * {loose_s:Int64} AND given + 1000000 * {early_s:Int64}
    )
SELECT feedback_id, tenant, revision, ground_truth, occurred_at, task, session_id, trace_id, span_id, response_id, given_inference_id,
       received_at, step + 1, 'found', best.1, best.2, ['session', 'trace', 'span', 'response', 'id'][best.3], best.4
FROM wanted
INNER JOIN
(
    SELECT feedback_id, tenant, revision, ground_truth,
           argMax((answer, at, strength, close), (strength, close, toUInt128(answer))) AS best
    FROM matches
    GROUP BY feedback_id, tenant, revision, ground_truth
) AS found USING (feedback_id, tenant, revision, ground_truth)
WHERE (best.3, best.4, toUInt128(best.1)) > had
