-- What one step of a rollout has shown since it began at {since_us} (microseconds since 1970). One row.
-- {arm} is the candidate's: shadow or canary. Only answers that a gateway signed count, the live version's, too: whoever can
-- emit events could otherwise show the candidate to be slower or worse. Only ids from {from_id} on are read, a little before the step.
WITH
    toUInt128({from_id:UUID}) AS first_id,
    fromUnixTimestamp64Micro({since_us:Int64}, 'UTC') AS since,
    answers AS
    (
        SELECT tenant, inference_id, version, arm, label, latency_ms, parent_id, audited
        FROM inferences FINAL
        WHERE toUInt128(inference_id) >= first_id AND occurred_at >= since AND task = {task:String} AND signed
          AND ((arm = {arm:String} AND version = {candidate:String}) OR (arm = 'live' AND version = {live:String}))
    ),
    audits AS
    (
        SELECT tenant, inference_id, argMax(label, (revision, occurred_at, toUInt128(feedback_id))) AS truth
        FROM feedback_latest
        WHERE toUInt128(feedback_id) >= first_id AND source = 'audit' AND signal = 'label' AND label != ''
        GROUP BY tenant, inference_id
    ),
    known AS
    (
        SELECT tenant, inference_id, truth FROM audits
        WHERE ({task:String}, truth) IN (SELECT task, label FROM labels_known) OR {task:String} NOT IN (SELECT task FROM task_labels)
    ),
    traffic AS
    (
        SELECT countIf(arm != 'live') AS requests, countIf(arm = 'live') AS live_requests,
               quantileTDigestIf(0.95)(latency_ms, arm != 'live') AS p95,
               quantileTDigestIf(0.95)(latency_ms, arm = 'live') AS live_p95
        FROM answers
    ),
    labels AS
    (
        SELECT countIf(a.arm != 'live') AS labelled, countIf(a.arm != 'live' AND a.label != f.truth) AS errors,
               countIf(a.arm = 'live') AS live_labelled, countIf(a.arm = 'live' AND a.label != f.truth) AS live_errors
        FROM answers AS a
        INNER JOIN known AS f ON a.tenant = f.tenant AND a.inference_id = f.inference_id
        WHERE a.audited AND a.arm != 'shadow'
    ),
    pairs AS
    (
        SELECT count() AS compared, countIf(s.label != l.label) AS disagreements,
               countIf(s.label != l.label AND f.truth != '' AND f.truth = s.label) AS gained,
               countIf(s.label != l.label AND f.truth != '' AND f.truth = l.label) AS lost,
               countIf(s.label != l.label AND f.truth NOT IN ('', s.label, l.label)) AS neither
        FROM (SELECT tenant, assumeNotNull(parent_id) AS parent, label FROM answers
              WHERE arm = 'shadow' AND parent_id IS NOT NULL) AS s
        INNER JOIN (SELECT tenant, inference_id, label FROM answers WHERE arm = 'live') AS l
            ON s.tenant = l.tenant AND s.parent = l.inference_id
        LEFT JOIN known AS f ON l.tenant = f.tenant AND l.inference_id = f.inference_id
    )
SELECT requests, live_requests, if(requests = 0, 0, p95) AS p95_ms, if(live_requests = 0, 0, live_p95) AS live_p95_ms,
       labelled, errors, live_labelled, live_errors, compared, disagreements, gained, lost, neither,
       (SELECT uniqExact(tenant, inference_id) FROM audit_draws
        WHERE task = {task:String} AND stratum = 'disagreement' AND toUInt128(inference_id) >= first_id
          AND (tenant, inference_id) NOT IN (SELECT tenant, inference_id FROM audits)) AS pending
FROM traffic, labels, pairs
