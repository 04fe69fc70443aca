-- Writes `windows` anew for the windows of `tasks` from `window_from` up to `window_to` (the start of the first, the end of the
-- last): a row is one window of one version and arm, as known at `known_at`. Ids carry their time, which bounds the read: of
-- feedback, which may come years later, by the index on the days of the answers.
INSERT INTO windows (task, version, arm, window_from, window_to, requests, audited, labelled, errors, thumbs_up, thumbs_down,
                     out_of_scope, first_token_p50_ms, first_token_p95_ms, first_token_p99_ms,
                     latency_p50_ms, latency_p95_ms, latency_p99_ms, tokens_in, tokens_out, cost, known_at)
WITH
    {size_ms:Int64} AS size,
    bitShiftLeft(toUInt128({window_from:Int64}), 80) AS lowest,
    bitShiftLeft(toUInt128({window_to:Int64}), 80) AS highest,
    bitShiftLeft(toUInt128(86400000), 80) AS day,
    answers AS
    (
        SELECT task, tenant, inference_id, version, arm, label, audited, occurred_at, ingested_at, first_token_ms,
               latency_ms, tokens_in, tokens_out, cost, intDiv(toUnixTimestamp64Milli(occurred_at), size) * size AS span
        FROM inferences FINAL
        WHERE task IN {tasks:Array(String)}
          AND toUInt128(inference_id) >= toUInt128(lowest - least(lowest, day)) AND toUInt128(inference_id) < highest + day
          AND occurred_at >= fromUnixTimestamp64Milli({window_from:Int64}, 'UTC')
          AND occurred_at < fromUnixTimestamp64Milli({window_to:Int64}, 'UTC')
    ),
    -- 1970 where an answer's clock was an hour ahead
    (SELECT (min(toDate(UUIDv7ToDateTime(inference_id, 'UTC'))), max(toDate(UUIDv7ToDateTime(inference_id, 'UTC'))),
             min(if(occurred_at > ingested_at + INTERVAL 1 HOUR, 0, toInt64(bitShiftRight(toUInt128(inference_id), 80)))))
     FROM answers) AS reach,
    fromUnixTimestamp64Milli(greatest(0, least({window_from:Int64}, reach.3) - 3600000), 'UTC') AS first_said,
    -- a label that is none of the task's says nothing
    (a.task, s.truth) NOT IN (SELECT task, label FROM labels_known) AND a.task IN (SELECT task FROM task_labels) AS unknown,
    -- what was said about each answer last: whatever its own clock says, it was not stored an hour before the answer was made,
    -- as its id says: a correction may bear a later time. Where an answer's clock was an hour ahead, that says nothing
    said AS
    (
        SELECT
            tenant, inference_id,
            argMaxIf(label, (revision, occurred_at, toUInt128(feedback_id)), source = 'audit') AS truth,
            argMaxIf(value, (revision, occurred_at, toUInt128(feedback_id)), signal = 'thumb') AS thumb
        FROM feedback FINAL
        WHERE ((source = 'audit' AND signal = 'label' AND label != '') OR signal = 'thumb')
          AND ingested_at >= first_said
          AND toDate(UUIDv7ToDateTime(inference_id, 'UTC')) BETWEEN reach.1 AND reach.2
        GROUP BY tenant, inference_id
    )
SELECT
    a.task, a.version, a.arm,
    fromUnixTimestamp64Milli(a.span, 'UTC') AS window_from,
    fromUnixTimestamp64Milli(a.span + size, 'UTC') AS window_to,
    count() AS requests,
    countIf(a.audited) AS audited,
    countIf(a.audited AND s.truth != '' AND NOT unknown) AS labelled,
    countIf(a.audited AND s.truth != '' AND NOT unknown AND s.truth != a.label) AS errors,
    countIf(s.thumb > 0) AS thumbs_up,
    countIf(s.thumb < 0) AS thumbs_down,
    countIf(a.label != '' AND a.label = {out_of_scope:Array(String)}[indexOf({tasks:Array(String)}, a.task)]) AS out_of_scope,
    (quantiles(0.5, 0.95, 0.99)(a.first_token_ms) AS first_token)[1],
    first_token[2],
    first_token[3],
    (quantiles(0.5, 0.95, 0.99)(a.latency_ms) AS latency)[1],
    latency[2],
    latency[3],
    sum(a.tokens_in) AS tokens_in,
    sum(a.tokens_out) AS tokens_out,
    sum(a.cost) AS cost,
    {known_at:DateTime64(6, 'UTC')} AS known_at
FROM answers AS a
LEFT JOIN said AS s ON a.tenant = s.tenant AND a.inference_id = s.inference_id
GROUP BY a.task, a.version, a.arm, a.span
SETTINGS max_execution_time = 60
