-- What the loop decided and did. The topics are the truth for control messages; these are copies for people,
-- for lineage and for the report. Columns bear the names of the fields in headrace/contract/control.py.
CREATE TABLE IF NOT EXISTS windows
-- One closed or current event-time window of one version and arm, refreshed whole; the last known_at wins.
(
    task           LowCardinality(String) COMMENT 'the task',
    version        LowCardinality(String) COMMENT 'the version that answered',
    arm            LowCardinality(String) COMMENT 'live, canary or shadow',
    window_from    DateTime64(3, 'UTC') COMMENT 'start, included (UTC)',
    window_to      DateTime64(3, 'UTC') COMMENT 'end, excluded (UTC); the plan''s windows.size_s after the start',
    requests       UInt64 COMMENT 'answers',
    audited        UInt64 COMMENT 'answers drawn into the base audit',
    labelled       UInt64 COMMENT 'of these, how many an expert has labelled',
    errors         UInt64 COMMENT 'of these, how many were wrong',
    thumbs_up      UInt64 COMMENT 'answers whose last thumb is up',
    thumbs_down    UInt64 COMMENT 'answers whose last thumb is down',
    out_of_scope   UInt64 COMMENT 'answers whose label is the one that the plan names as out_of_scope',
    first_token_p50_ms Float64 COMMENT 'milliseconds until the first token, median',
    first_token_p95_ms Float64 COMMENT 'milliseconds until the first token, 95th percentile',
    latency_p50_ms Float64 COMMENT 'milliseconds until the last token, median',
    latency_p95_ms Float64 COMMENT 'milliseconds until the last token, 95th percentile',
    cost           Float64 COMMENT 'US dollars',
    first_token_p99_ms Float64 COMMENT 'milliseconds until the first token, 99th percentile',
    latency_p99_ms Float64 COMMENT 'milliseconds until the last token, 99th percentile',
    tokens_in      UInt64 COMMENT 'prompt tokens of all answers',
    tokens_out     UInt64 COMMENT 'generated tokens of all answers',
    known_at       DateTime64(6, 'UTC') COMMENT 'when it was counted (UTC, wall clock)'
)
ENGINE = ReplacingMergeTree(known_at)
ORDER BY (task, window_from, version, arm)
COMMENT 'Counts of one version and arm in one window of event time, for all tenants together; refreshed whole, the last known_at counts';

CREATE TABLE IF NOT EXISTS accuracy
-- Rolling accuracy as known at `known_at`, from blind base-audit labels alone; never rewritten ("as known then"): two readings
-- at one watermark, between which a label came late, are two rows.
-- version '*' is everything users saw, whoever answered. low, high: 95 % Wilson interval.
(
    task        LowCardinality(String) COMMENT 'the task',
    version     LowCardinality(String) COMMENT 'the version that answered; * is everything that users saw, whoever answered',
    watermark   DateTime64(3, 'UTC') COMMENT 'event time up to which the evidence was complete (UTC)',
    looked_at   DateTime64(6, 'UTC') COMMENT 'the same as known_at, as a part of the key; 1970 in rows of before this column',
    window_from DateTime64(3, 'UTC') COMMENT 'start of the span (UTC): the plan''s windows.rolling windows before the watermark',
    n           UInt64 COMMENT 'labelled answers',
    correct     UInt64 COMMENT 'of these, how many were right',
    value       Float64 COMMENT 'correct / n, 0 to 1',
    low         Float64 COMMENT 'lower end of the 95 % Wilson interval',
    high        Float64 COMMENT 'upper end of the 95 % Wilson interval',
    known_at    DateTime64(6, 'UTC') COMMENT 'when it was computed (UTC, wall clock)'
)
ENGINE = ReplacingMergeTree(known_at)
PRIMARY KEY (task, version, watermark)
ORDER BY (task, version, watermark, looked_at)
COMMENT 'Rolling accuracy as it was known at known_at, from blind base-audit labels alone; never rewritten';

CREATE TABLE IF NOT EXISTS evaluations
(
    task        LowCardinality(String) COMMENT 'the task',
    version     LowCardinality(String) COMMENT 'the version that was live',
    generation  UInt64 COMMENT 'of the promotion that was live',
    detector    LowCardinality(String) COMMENT 'the detector; policy is the decision that was taken from all of them',
    watermark   DateTime64(3, 'UTC') COMMENT 'event time up to which the evidence was complete (UTC)',
    looked_at   DateTime64(6, 'UTC') COMMENT 'when it looked, by ClickHouse''s clock (UTC), the same for all rows of a look; 1970 in rows of before this column',
    window_from DateTime64(3, 'UTC') COMMENT 'start of what it looked at (UTC)',
    window_to   DateTime64(3, 'UTC') COMMENT 'end of what it looked at (UTC)',
    n           UInt64 COMMENT 'rows that it rests on: labels or answers, as the detector counts',
    statistic   Float64 COMMENT 'its number',
    threshold   Float64 COMMENT 'the number from which it fires',
    fired       Bool COMMENT 'whether it fired',
    decision    LowCardinality(String) COMMENT 'kind of the trigger that came of it; empty where none did',
    reason      String COMMENT 'why or why not, in words',
    inputs      String COMMENT 'what it was computed from, a JSON object',
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when the insert of this row began, by ClickHouse''s clock (UTC)'
)
ENGINE = ReplacingMergeTree
PRIMARY KEY (task, detector, generation, watermark)
ORDER BY (task, detector, generation, watermark, looked_at)
COMMENT 'Looks of the monitor at a task, one row a detector and look, fired or not, with its reason';

CREATE TABLE IF NOT EXISTS triggers
(
    trigger_id          UUID COMMENT 'derived from what was decided: the same decision made twice is one trigger',
    task                LowCardinality(String) COMMENT 'the task',
    kind                LowCardinality(String) COMMENT 'drift, cheaper, cadence, manual or experts',
    decided_at          DateTime64(3, 'UTC') COMMENT 'event time at which the evidence was complete (UTC)',
    reason              String COMMENT 'why, in words',
    detector            LowCardinality(String) COMMENT 'which detector or rule',
    statistic           Float64 COMMENT 'its number',
    threshold           Float64 COMMENT 'the number from which it fires',
    generation          UInt64 COMMENT 'of the promotion that was live',
    version             LowCardinality(String) COMMENT 'the version that was live',
    labels              UInt64 COMMENT 'base-audit labels that the decision rests on',
    labels_since_change UInt64 COMMENT 'of these, how many came after the estimated change',
    test_from           DateTime64(3, 'UTC') COMMENT 'test rows come from this event time on (UTC): the estimated change, or the start of the window',
    evidence            String COMMENT 'what it was computed from, a JSON object',
    extra               String COMMENT 'fields that a newer version added, a JSON object; empty where there are none',
    ingested_at         DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when the insert of this row began, by ClickHouse''s clock (UTC)'
)
ENGINE = ReplacingMergeTree
ORDER BY (task, toUInt128(trigger_id))
COMMENT 'Decisions to retrain, one row each';

-- Every state a job went through.
CREATE TABLE IF NOT EXISTS jobs
(
    job_id       UUID COMMENT 'derived from the trigger',
    trigger_id   UUID COMMENT 'the trigger that it serves',
    task         LowCardinality(String) COMMENT 'the task',
    number       UInt32 COMMENT 'counts the task''s jobs from 1; its model is named task@number',
    attempt      UInt32 COMMENT 'counts the runs of its trainer; 0 before the first',
    state        LowCardinality(String) COMMENT 'claimed, running, waiting (for labels), won, no_winner, failed, skipped',
    at           DateTime64(3, 'UTC') COMMENT 'since when (UTC, wall clock)',
    heartbeat_at DateTime64(3, 'UTC') COMMENT 'the owner''s last sign of life (UTC, wall clock)',
    owner        LowCardinality(String) COMMENT 'the transactional id that wrote it',
    version      LowCardinality(String) COMMENT 'the version that it publishes',
    needs        Int64 COMMENT 'waiting: how many labels are missing',
    reason       String COMMENT 'why, in words',
    trigger      String COMMENT 'the trigger, a JSON object',
    result       String COMMENT 'what the trainer reported, a JSON object',
    extra        String COMMENT 'fields that a newer version added, a JSON object; empty where there are none',
    ingested_at  DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when the insert of this row began, by ClickHouse''s clock (UTC)'
)
ENGINE = ReplacingMergeTree(heartbeat_at)
ORDER BY (task, toUInt128(job_id), attempt, state, at)
COMMENT 'States that each retraining job went through, one row a state and attempt';

CREATE TABLE IF NOT EXISTS progress
(
    job_id      UUID COMMENT 'the job',
    attempt     UInt32 COMMENT 'which run of its trainer',
    task        LowCardinality(String) COMMENT 'the task',
    sequence    UInt32 COMMENT 'counts the lines of a run',
    at          DateTime64(3, 'UTC') COMMENT 'when (UTC, wall clock)',
    stage       LowCardinality(String) COMMENT 'curate, embed, probe, lora, full, evaluate, gate or publish',
    done        Float64 COMMENT 'how much is done, in the stage''s own unit',
    total       Float64 COMMENT 'of how much',
    message     String COMMENT 'in words',
    metrics     Map(String, Float64) COMMENT 'name to number, as the stage has them',
    extra       String COMMENT 'fields that a newer version added, a JSON object; empty where there are none',
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when the insert of this row began, by ClickHouse''s clock (UTC)'
)
ENGINE = ReplacingMergeTree
ORDER BY (toUInt128(job_id), attempt, sequence)
COMMENT 'Lines of running trainers';

-- An immutable data set: its digest, and what was left out and why, as counts that add up.
CREATE TABLE IF NOT EXISTS datasets
(
    dataset     String COMMENT 'SHA-256 of its rows, hexadecimal',
    job_id      UUID COMMENT 'the job that it was made for; all zeros where a person built it (`headrace dataset build`)',
    attempt     UInt32 COMMENT 'which run of its trainer; 0 where a person built it',
    task        LowCardinality(String) COMMENT 'the task',
    at          DateTime64(3, 'UTC') COMMENT 'when it was made (UTC, wall clock)',
    train       UInt64 COMMENT 'rows that train',
    validation  UInt64 COMMENT 'rows on which candidates are compared',
    test        UInt64 COMMENT 'blind rows for the gate',
    forget      UInt64 COMMENT 'older test rows that must not be forgotten',
    exclusions  Map(String, UInt64) COMMENT 'reason to number of answers that were left out for it',
    funnel      Map(String, UInt64) COMMENT 'step to number of answers that got so far',
    format      UInt8 DEFAULT 1 COMMENT 'how its digest is made: 2 of row_digest of its rows, 1 of their texts (versions before)'
)
ENGINE = ReplacingMergeTree
ORDER BY (task, dataset, toUInt128(job_id), attempt)
COMMENT 'Immutable data sets, with what was left out and why, as counts that add up';

-- Which feedback went into which data set, and as what. Texts stay in `inferences`; view dataset_texts joins them again. The row of
-- an answer that was erased keeps its place and its digests, and nothing else.
CREATE TABLE IF NOT EXISTS dataset_rows
(
    dataset      String COMMENT 'SHA-256 of the data set, as in datasets',
    split        LowCardinality(String) COMMENT 'train, validation, test or forget',
    tenant       LowCardinality(String) COMMENT 'whose event it is: the name that its API key stands for',
    inference_id UUID COMMENT 'the answer whose question it is',
    feedback_id  UUID COMMENT 'the feedback that its label comes from; all zeros where it comes from none',
    source       LowCardinality(String) COMMENT 'whose label it is: the feedback''s source',
    label        LowCardinality(String) COMMENT 'the label that it was given',
    text_digest  String COMMENT 'SHA-256 of the normalised question, hexadecimal',
    weight       Float64 COMMENT 'what it counts in training or in the test',
    rank         UInt8 COMMENT 'how far its label is trusted: 4 an expert, 3 an outcome, 2 a user''s correction, 0 a thumb',
    answered     LowCardinality(String) COMMENT 'the label that the user was told',
    version      LowCardinality(String) COMMENT 'the version that answered',
    cluster      String COMMENT 'rows of one cluster are not independent: SHA-256, its first 32 hex digits, of a session or a text',
    text_sha256  String COMMENT 'SHA-256 of the question as it trained, hexadecimal; empty in rows of format 1 and where erased',
    row_digest   String COMMENT 'SHA-256 of the row, hexadecimal, of which the digest of the data set is made; empty in rows of format 1',
    erased_at    DateTime64(3, 'UTC') COMMENT 'when its answer was erased and the row emptied (UTC); 1970 where it was not',
    erasure      String COMMENT 'the erasure that emptied it, as its receipt names it; empty where there was none'
)
ENGINE = ReplacingMergeTree
ORDER BY (dataset, toUInt128(inference_id), tenant)
COMMENT 'Rows of data sets: which feedback went into which, and as what; texts are in inferences, see dataset_texts';

CREATE TABLE IF NOT EXISTS candidates
(
    job_id             UUID COMMENT 'the job',
    attempt            UInt32 COMMENT 'which run of its trainer',
    task               LowCardinality(String) COMMENT 'the task',
    name               LowCardinality(String) COMMENT 'its name in the plan; where gate is reference the version that it is compared with',
    at                 DateTime64(3, 'UTC') COMMENT 'when (UTC, wall clock)',
    base               LowCardinality(String) COMMENT 'the base model',
    method             LowCardinality(String) COMMENT 'untuned, probe, lora or full; live where gate is reference',
    parameters         UInt64 COMMENT 'how many the model has',
    trained_parameters UInt64 COMMENT 'how many of them were trained',
    split              LowCardinality(String) COMMENT 'validation or test',
    n                  UInt64 COMMENT 'rows',
    correct            UInt64 COMMENT 'of these, how many were right',
    accuracy           Float64 COMMENT 'weighted share of right rows, 0 to 1',
    low                Float64 COMMENT 'lower end of its 95 % interval',
    high               Float64 COMMENT 'upper end of its 95 % interval',
    p50_ms             Float64 COMMENT 'milliseconds for one question at a time, median',
    p95_ms             Float64 COMMENT 'milliseconds for one question at a time, 95th percentile',
    cost_per_1k        Float64 COMMENT 'US dollars for a thousand requests',
    seconds            Float64 COMMENT 'how long it took to train',
    gate               LowCardinality(String) COMMENT 'passed, failed, vetoed, not_enough_labels, not_selected or reference',
    reason             String COMMENT 'why, in words',
    version            LowCardinality(String) COMMENT 'the version that it became; empty where it did not win',
    dataset            String COMMENT 'SHA-256 of the data set',
    detail             String COMMENT 'paired counts, bounds and calibration, a JSON object'
)
ENGINE = ReplacingMergeTree(at)
ORDER BY (task, toUInt128(job_id), attempt, name, split)
COMMENT 'What each candidate of a job showed, one row a split';

CREATE TABLE IF NOT EXISTS rollouts
(
    request_id  UUID COMMENT 'derived from who asks for what',
    task        LowCardinality(String) COMMENT 'the task',
    kind        LowCardinality(String) COMMENT 'promote, roll_back or abort',
    at          DateTime64(3, 'UTC') COMMENT 'when it was asked (UTC, wall clock)',
    by          LowCardinality(String) COMMENT 'who asked: a part, or a person''s name',
    candidate   String COMMENT 'promote: the version and its artifact, a JSON object; else empty',
    generation  UInt64 COMMENT 'of the promotion that the asker knew',
    reason      String COMMENT 'why, in words',
    extra       String COMMENT 'fields that a newer version added, a JSON object; empty where there are none',
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when the insert of this row began, by ClickHouse''s clock (UTC)'
)
ENGINE = ReplacingMergeTree
ORDER BY (task, toUInt128(request_id))
COMMENT 'Requests for a change of what serves';

-- Every generation of a task's desired state. live, canary, shadow, previous are JSON (headrace.contract.control.Served).
CREATE TABLE IF NOT EXISTS promotions
(
    task         LowCardinality(String) COMMENT 'the task',
    generation   UInt64 COMMENT 'grows with each change',
    step         LowCardinality(String) COMMENT 'steady, shadow or canary',
    live         String COMMENT 'who answers, a JSON object: version, artifact, errors and labelled of its evaluation',
    canary       String COMMENT 'who answers the share canary_share, a JSON object; empty outside a canary',
    canary_share Float64 COMMENT 'share of sessions, 0 to 1',
    shadow       String COMMENT 'who answers beside the live version for nobody, a JSON object; empty outside shadow',
    previous     String COMMENT 'who to go back to, a JSON object; empty where there is none',
    since        DateTime64(3, 'UTC') COMMENT 'when the present live version became live (UTC, wall clock)',
    at           DateTime64(3, 'UTC') COMMENT 'when this generation was written (UTC, wall clock)',
    reason       String COMMENT 'why, in words',
    request_id   Nullable(UUID) COMMENT 'the request that it answers; else NULL',
    extra        String COMMENT 'fields that a newer version added, a JSON object; empty where there are none',
    ingested_at  DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when the insert of this row began, by ClickHouse''s clock (UTC)'
)
ENGINE = ReplacingMergeTree
ORDER BY (task, generation)
COMMENT 'Generations of each task''s desired state, one row each: who answers, and why';

CREATE TABLE IF NOT EXISTS replicas
(
    replica     LowCardinality(String) COMMENT 'the gateway',
    task        LowCardinality(String) COMMENT 'the task',
    at          DateTime64(3, 'UTC') COMMENT 'when (UTC, wall clock)',
    generation  UInt64 COMMENT 'the last one that it took over',
    live        LowCardinality(String) COMMENT 'the version that it has live',
    ready       Array(String) COMMENT 'versions that are loaded, checked and able to answer',
    error       String COMMENT 'why one is not',
    requests    UInt64 COMMENT 'answered since it started',
    failed      UInt64 COMMENT 'of these, how many failed',
    extra       String COMMENT 'fields that a newer version added, a JSON object; empty where there are none',
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when the insert of this row began, by ClickHouse''s clock (UTC)'
)
ENGINE = ReplacingMergeTree
ORDER BY (task, replica, at)
TTL toDateTime(ingested_at) + INTERVAL 7 DAY
COMMENT 'Heartbeats of the gateways, and which generation each has acknowledged; kept for a week';
