-- Waiting feedback is looked at anew when an answer that came since {since} has its reference, and so is feedback that has an
-- answer by something that is not exact when a better one came: its row becomes `new` and keeps what it had. See match.sql.
INSERT INTO feedback_waiting
    (feedback_id, tenant, revision, ground_truth, occurred_at, task, session_id, trace_id, span_id, response_id, given_inference_id,
     received_at, step, state, inference_id, answered_at, resolved_by, closeness)
SELECT feedback_id, tenant, revision, ground_truth, occurred_at, task, session_id, trace_id, span_id, response_id, given_inference_id,
       received_at, step + 1, 'new', inference_id, answered_at, resolved_by, closeness
FROM feedback_waiting FINAL
WHERE (state = 'waiting' OR state = 'done' AND (resolved_by IN ('trace', 'session') OR closeness < 0))
  AND (toUInt128(feedback_id), tenant, revision, ground_truth) IN
(
    SELECT id, tenant, revision, ground_truth
    FROM
    (
        -- Read in a stream; what waits is the table in memory.
        SELECT tenant AS its_tenant, task AS its_task, toUInt128(inference_id) AS answer, its_name, its_way, its_first,
               toUnixTimestamp64Micro(occurred_at) AS ended,
               1000 * toInt64(bitShiftRight(answer, 80)) AS made,
               least(ended - toInt64(1000 * least(latency_ms, 86400000)), if(made < ended - 86400000000, ended, made)) AS begun
        FROM inferences
        ARRAY JOIN [session_id, trace_id, span_id, response_id, given_id, given_id, response_id] AS its_name,
                   [1, 2, 3, 4, 4, 5, 5] AS its_way, [1, 1, 1, 1, 0, 1, 0] AS its_first
        WHERE ingested_at >= {since:DateTime64(3, 'UTC')} AND arm != 'shadow' AND its_name != ''
    ) AS a
    INNER JOIN
    (
        SELECT toUInt128(feedback_id) AS id, tenant, revision, ground_truth, task, name, way,
               (indexOf(['session', 'trace', 'span', 'response', 'id'], resolved_by), closeness, toUInt128(inference_id)) AS had,
               toUnixTimestamp64Micro(least(occurred_at, toDateTime64(received_at, 6, 'UTC'))) AS given,
               (span_id = '' OR trace_id != '') AND response_id = '' AND given_inference_id = '' AS loose
        FROM feedback_waiting FINAL
        ARRAY JOIN [session_id, trace_id, span_id, response_id, given_inference_id] AS name, [1, 2, 3, 4, 5] AS way
        WHERE (state = 'waiting' OR state = 'done' AND (resolved_by IN ('trace', 'session') OR closeness < 0)) AND name != ''
    ) AS w ON its_tenant = tenant AND its_name = name AND its_way = way
    WHERE task IN ('', its_task) AND (way > 2 OR loose)
      AND (way, multiIf(way = 1, if(begun <= given, begun, -begun), its_first, ended, ended - 5000000000000000), answer) > had
      AND (way > 1 OR begun <= given + 1000000 * {early_s:Int64})
)
