-- Writes `windows` anew for those of a task's windows from `horizon` on (a window's start) that got rows since
-- `changed_since`: a row of `windows` is one window of one version and arm, as known at `known_at`.
INSERT INTO windows
WITH
    {size_ms:Int64} AS size,
    touched AS
    (
        SELECT DISTINCT intDiv(toUnixTimestamp64Milli(occurred_at), size) * size AS span
        FROM inferences
        WHERE task = {task:String} AND occurred_at >= {horizon:DateTime64(6, 'UTC')}
          AND (ingested_at >= {changed_since:DateTime64(3, 'UTC')}
               OR toUInt128(inference_id) IN
                  (SELECT toUInt128(inference_id) FROM feedback WHERE ingested_at >= {changed_since:DateTime64(3, 'UTC')}))
    ),
    answers AS
    (
        SELECT *, intDiv(toUnixTimestamp64Milli(occurred_at), size) * size AS span
        FROM inferences FINAL
        WHERE task = {task:String} AND occurred_at >= {horizon:DateTime64(6, 'UTC')} AND span IN (SELECT span FROM touched)
    ),
    -- what was said about each answer last; ids carry their time, so a day before the horizon bounds the read
    said AS
    (
        SELECT
            tenant, inference_id,
            argMaxIf(label, (revision, occurred_at, toUInt128(feedback_id)), source = 'audit') AS truth,
            argMaxIf(value, (revision, occurred_at, toUInt128(feedback_id)), signal = 'thumb') AS thumb
        FROM feedback FINAL
        WHERE ((source = 'audit' AND signal = 'label' AND label != '') OR signal = 'thumb')
          AND toUInt128(feedback_id) >= bitShiftLeft(
              toUInt128(greatest(0, toUnixTimestamp64Milli({horizon:DateTime64(6, 'UTC')}) - 86400000)), 80)
        GROUP BY tenant, inference_id
    )
SELECT
    a.task, a.version, a.arm,
    fromUnixTimestamp64Milli(a.span, 'UTC') AS window_from,
    fromUnixTimestamp64Milli(a.span + size, 'UTC') AS window_to,
    count() AS requests,
    countIf(a.audited) AS audited,
    countIf(a.audited AND s.truth != '') AS labelled,
    countIf(a.audited AND s.truth != '' AND s.truth != a.label) AS errors,
    countIf(s.thumb > 0) AS thumbs_up,
    countIf(s.thumb < 0) AS thumbs_down,
    countIf(a.label = 'out_of_scope') AS out_of_scope,
    quantile(0.5)(a.first_token_ms) AS first_token_p50_ms,
    quantile(0.95)(a.first_token_ms) AS first_token_p95_ms,
    quantile(0.5)(a.latency_ms) AS latency_p50_ms,
    quantile(0.95)(a.latency_ms) AS latency_p95_ms,
    sum(a.cost) AS cost,
    {known_at:DateTime64(6, 'UTC')} AS known_at
FROM answers AS a
LEFT JOIN said AS s ON a.tenant = s.tenant AND a.inference_id = s.inference_id
GROUP BY a.task, a.version, a.arm, a.span
