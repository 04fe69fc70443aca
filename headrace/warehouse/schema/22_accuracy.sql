-- How accurate the answers are, as estimated (docs/accuracy.md).

-- The answers of an event-time window, counted by what is known of each whether it is labelled or not. A window is
-- written whole: the rows of its greatest known_at count (`strata_current`), older ones are history.
CREATE TABLE IF NOT EXISTS strata
(
    task           LowCardinality(String) COMMENT 'the task',
    window_from    DateTime64(3, 'UTC') COMMENT 'start of the event-time window, inclusive',
    tenant         LowCardinality(String) COMMENT 'whose answers',
    version        LowCardinality(String) COMMENT 'the version that answered',
    arm            LowCardinality(String) COMMENT 'live or canary',
    expert         LowCardinality(String) COMMENT 'the label that was answered',
    stratum        LowCardinality(String) COMMENT 'what people volunteered: corrected, complained, silent, thanked; known: the truth is known and not drawn',
    confidence     LowCardinality(String) COMMENT 'of the answered label: low (below .6), middle (below .9), high; empty where no scores came',
    probability    Float64 COMMENT 'that such an answer is drawn for a label; 0 for those that were not drawn, and for known ones',
    answers        UInt64 COMMENT 'how many, shadow answers left out',
    labelled       UInt64 COMMENT 'of these, with the right label known by now',
    errors         UInt64 COMMENT 'of the labelled ones, wrong',
    unknown        UInt64 COMMENT 'of the answers, those whose right label is said to be none of the task''s; not labelled',
    audited        UInt64 COMMENT 'of the answers, in the base audit or a uniform draw',
    audit_labelled UInt64 COMMENT 'of the audited ones, labelled blind by now',
    audit_errors   UInt64 COMMENT 'of the audited and labelled ones, wrong',
    thumbs_up      UInt64 COMMENT 'of the answers, whose last thumb is up',
    thumbs_down    UInt64 COMMENT 'of the answers, whose last thumb is down',
    known_at       DateTime64(6, 'UTC') COMMENT 'when it was counted, by the warehouse clock'
)
ENGINE = ReplacingMergeTree(known_at)
ORDER BY (task, window_from, tenant, version, arm, expert, stratum, confidence, probability);

-- What a count of windows writes, which is kept nowhere as it is: a row for each of `windows` (whole) and for each of `strata`.
CREATE TABLE IF NOT EXISTS window_counts
(
    task           LowCardinality(String) COMMENT 'the task',
    window_from    DateTime64(3, 'UTC') COMMENT 'start of the window',
    window_to      DateTime64(3, 'UTC') COMMENT 'its end',
    version        LowCardinality(String) COMMENT 'the version that answered',
    arm            LowCardinality(String) COMMENT 'live, canary or shadow',
    tenant         LowCardinality(String) COMMENT 'as in strata; empty where whole, and so are expert, stratum and confidence',
    expert         LowCardinality(String) COMMENT 'as in strata',
    stratum        LowCardinality(String) COMMENT 'as in strata',
    confidence     LowCardinality(String) COMMENT 'as in strata',
    probability    Float64 COMMENT 'as in strata; 0 where whole',
    whole          Bool COMMENT 'whether it counts all answers of the version and arm, for windows; else those of one stratum, for strata',
    answers        UInt64 COMMENT 'how many',
    labelled       UInt64 COMMENT 'as in strata',
    errors         UInt64 COMMENT 'as in strata',
    unknown        UInt64 COMMENT 'as in strata',
    fair           UInt64 COMMENT 'audited, as in strata',
    fair_labelled  UInt64 COMMENT 'audit_labelled, as in strata',
    fair_errors    UInt64 COMMENT 'audit_errors, as in strata',
    audited        UInt64 COMMENT 'as in windows',
    audit_labelled UInt64 COMMENT 'labelled, as in windows',
    audit_errors   UInt64 COMMENT 'errors, as in windows',
    thumbs_up      UInt64 COMMENT 'as in windows: answers whose last thumb is up',
    thumbs_down    UInt64 COMMENT 'as in windows: answers whose last thumb is down',
    users_thumbs_up UInt64 COMMENT 'thumbs_up, as in strata: of users, or seen in behaviour',
    users_thumbs_down UInt64 COMMENT 'thumbs_down, as in strata',
    out_of_scope   UInt64 COMMENT 'as in windows',
    first_token_ms Array(Float64) COMMENT 'milliseconds until the first token: median, 95th and 99th percentile',
    latency_ms     Array(Float64) COMMENT 'milliseconds until the last token: the same',
    tokens_in      UInt64 COMMENT 'prompt tokens',
    tokens_out     UInt64 COMMENT 'generated tokens',
    cost           Float64 COMMENT 'US dollars',
    known_at       DateTime64(6, 'UTC') COMMENT 'when it was counted, by the warehouse clock'
)
ENGINE = Null
COMMENT 'What a count of windows writes, kept nowhere as it is: a row for each of windows, and for each of strata';

-- Takes the rows of `windows` to it.
CREATE MATERIALIZED VIEW IF NOT EXISTS window_counts_whole TO windows AS
SELECT task, version, arm, window_from, window_to, answers AS requests, audited, audit_labelled AS labelled, audit_errors AS errors,
       thumbs_up, thumbs_down, out_of_scope,
       first_token_ms[1] AS first_token_p50_ms, first_token_ms[2] AS first_token_p95_ms, first_token_ms[3] AS first_token_p99_ms,
       latency_ms[1] AS latency_p50_ms, latency_ms[2] AS latency_p95_ms, latency_ms[3] AS latency_p99_ms,
       tokens_in, tokens_out, cost, known_at
FROM window_counts
WHERE whole;

-- Takes the rows of `strata` to it; what no user saw is in none.
CREATE MATERIALIZED VIEW IF NOT EXISTS window_counts_strata TO strata AS
SELECT task, window_from, tenant, version, arm, expert, stratum, confidence, probability, answers, labelled, errors, unknown,
       fair AS audited, fair_labelled AS audit_labelled, fair_errors AS audit_errors,
       users_thumbs_up AS thumbs_up, users_thumbs_down AS thumbs_down, known_at
FROM window_counts
WHERE NOT whole AND arm != 'shadow';

-- The rolling accuracy, a row each time that it became known anew; never rewritten. Of one watermark the first row is
-- what was known then and the last what is known now (`accuracy_then`, `accuracy_corrected`).
CREATE TABLE IF NOT EXISTS accuracy_by
(
    task           LowCardinality(String) COMMENT 'the task',
    watermark      DateTime64(3, 'UTC') COMMENT 'event time up to which it was known; where closed, the end of the last window',
    by             LowCardinality(String) COMMENT 'all, version, arm, expert (the label that was answered) or tenant',
    name           LowCardinality(String) COMMENT 'which of them; * for all',
    window_from    DateTime64(3, 'UTC') COMMENT 'start of the rolling span, inclusive',
    closed         Bool COMMENT 'whether every window of the span is over; corrected where labels come later',
    answers        UInt64 COMMENT 'answers that users saw in the span',
    drawn          UInt64 COMMENT 'of these, drawn for a label with a known probability',
    labelled       UInt64 COMMENT 'of the drawn ones, labelled by now',
    errors         UInt64 COMMENT 'of the labelled ones, wrong',
    known          UInt64 COMMENT 'answers whose truth is known otherwise (an outcome, an expert on a complaint), counted as they are',
    known_errors   UInt64 COMMENT 'of the known ones, wrong',
    unknown        UInt64 COMMENT 'answers whose right label is said to be none of the task''s: counted here and nowhere else',
    value          Float64 COMMENT 'estimated accuracy of all answers, 0 to 1',
    low            Float64 COMMENT 'lower end of its 95 % interval, 0 to 1',
    high           Float64 COMMENT 'upper end of its 95 % interval, 0 to 1',
    effective      Float64 COMMENT 'labels that a simple random sample would need to be as sharp, a count',
    audit_labelled UInt64 COMMENT 'labels of the base audit and of uniform draws alone',
    audit_errors   UInt64 COMMENT 'of these, wrong',
    audit_value    Float64 COMMENT 'accuracy by those labels alone, 0 to 1; 0 where there are none',
    audit_low      Float64 COMMENT 'lower end of its 95 % Wilson interval, 0 to 1',
    audit_high     Float64 COMMENT 'upper end of its 95 % Wilson interval, 0 to 1',
    thumbs_up      UInt64 COMMENT 'answers whose last thumb is up',
    thumbs_down    UInt64 COMMENT 'answers whose last thumb is down; their share is no accuracy',
    known_at       DateTime64(6, 'UTC') COMMENT 'when this became known, by the warehouse clock'
)
ENGINE = ReplacingMergeTree
ORDER BY (task, watermark, by, name, known_at);

-- How far the monitor has counted each task, kept once a minute: where the next one goes on.
CREATE TABLE IF NOT EXISTS monitor_progress
(
    task       LowCardinality(String) COMMENT 'the task',
    watermark  DateTime64(6, 'UTC') COMMENT 'event time up to which its evidence is complete; 1970 before its first answer',
    newest     DateTime64(6, 'UTC') COMMENT 'event time of its newest answer, at most the time at which that was stored; 1970 before the first',
    arrived_at DateTime64(6, 'UTC') COMMENT 'when its last answer was stored, by the warehouse clock; 1970 before the first',
    counted    DateTime64(6, 'UTC') COMMENT 'what was stored before it is counted, by the warehouse clock',
    known_at   DateTime64(6, 'UTC') COMMENT 'when this was written, by the warehouse clock'
)
ENGINE = ReplacingMergeTree(known_at)
ORDER BY task
COMMENT 'How far the monitor has counted each task: where the next one goes on';
