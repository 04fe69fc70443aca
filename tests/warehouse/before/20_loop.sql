-- What the loop decided and did. The topics are the truth for control messages; these are copies for people,
-- for lineage and for the report. Columns bear the names of the fields in headrace/contract/control.py.
CREATE TABLE IF NOT EXISTS windows
-- One closed or current event-time window of one version and arm, refreshed whole; the last known_at wins.
(
    task           LowCardinality(String),
    version        LowCardinality(String),
    arm            LowCardinality(String),
    window_from    DateTime64(3, 'UTC'),
    window_to      DateTime64(3, 'UTC'),
    requests       UInt64,
    audited        UInt64,
    labelled       UInt64,
    errors         UInt64,
    thumbs_up      UInt64,
    thumbs_down    UInt64,
    out_of_scope   UInt64,
    first_token_p50_ms Float64,
    first_token_p95_ms Float64,
    latency_p50_ms Float64,
    latency_p95_ms Float64,
    cost           Float64,
    known_at       DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree(known_at)
ORDER BY (task, window_from, version, arm);

CREATE TABLE IF NOT EXISTS accuracy
-- Rolling accuracy as known at `known_at`, from blind base-audit labels alone; never rewritten ("as known then").
-- version '*' is everything users saw, whoever answered. low, high: 95 % Wilson interval.
(
    task        LowCardinality(String),
    version     LowCardinality(String),
    watermark   DateTime64(3, 'UTC'),
    window_from DateTime64(3, 'UTC'),
    n           UInt64,
    correct     UInt64,
    value       Float64,
    low         Float64,
    high        Float64,
    known_at    DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree(known_at)
ORDER BY (task, version, watermark);

CREATE TABLE IF NOT EXISTS evaluations
(
    task        LowCardinality(String),
    version     LowCardinality(String),
    generation  UInt64,
    detector    LowCardinality(String),
    watermark   DateTime64(3, 'UTC'),
    window_from DateTime64(3, 'UTC'),
    window_to   DateTime64(3, 'UTC'),
    n           UInt64,
    statistic   Float64,
    threshold   Float64,
    fired       Bool,
    decision    LowCardinality(String),
    reason      String,
    inputs      String,
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
ORDER BY (task, detector, generation, watermark);

CREATE TABLE IF NOT EXISTS triggers
(
    trigger_id          UUID,
    task                LowCardinality(String),
    kind                LowCardinality(String),
    decided_at          DateTime64(3, 'UTC'),
    reason              String,
    detector            LowCardinality(String),
    statistic           Float64,
    threshold           Float64,
    generation          UInt64,
    version             LowCardinality(String),
    labels              UInt64,
    labels_since_change UInt64,
    test_from           DateTime64(3, 'UTC'),
    evidence            String,
    ingested_at         DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
ORDER BY (task, toUInt128(trigger_id));

-- Every state a job went through.
CREATE TABLE IF NOT EXISTS jobs
(
    job_id       UUID,
    trigger_id   UUID,
    task         LowCardinality(String),
    number       UInt32,
    attempt      UInt32,
    state        LowCardinality(String),
    at           DateTime64(3, 'UTC'),
    heartbeat_at DateTime64(3, 'UTC'),
    owner        LowCardinality(String),
    version      LowCardinality(String),
    needs        Int64,
    reason       String,
    trigger      String,
    result       String,
    ingested_at  DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(heartbeat_at)
ORDER BY (task, toUInt128(job_id), attempt, state, at);

CREATE TABLE IF NOT EXISTS progress
(
    job_id      UUID,
    attempt     UInt32,
    task        LowCardinality(String),
    sequence    UInt32,
    at          DateTime64(3, 'UTC'),
    stage       LowCardinality(String),
    done        Float64,
    total       Float64,
    message     String,
    metrics     Map(String, Float64),
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
ORDER BY (toUInt128(job_id), attempt, sequence);

-- An immutable data set: its digest, and what was left out and why, as counts that add up.
CREATE TABLE IF NOT EXISTS datasets
(
    dataset     String,
    job_id      UUID,
    attempt     UInt32,
    task        LowCardinality(String),
    at          DateTime64(3, 'UTC'),
    train       UInt64,
    validation  UInt64,
    test        UInt64,
    forget      UInt64,
    exclusions  Map(String, UInt64),
    funnel      Map(String, UInt64)
)
ENGINE = ReplacingMergeTree
ORDER BY (task, dataset, toUInt128(job_id), attempt);

-- Which feedback went into which data set, and as what.
CREATE TABLE IF NOT EXISTS dataset_rows
(
    dataset      String,
    split        LowCardinality(String),
    tenant       LowCardinality(String),
    inference_id UUID,
    feedback_id  UUID,
    source       LowCardinality(String),
    label        LowCardinality(String),
    text_digest  String,
    weight       Float64
)
ENGINE = ReplacingMergeTree
ORDER BY (dataset, toUInt128(inference_id), tenant);

CREATE TABLE IF NOT EXISTS candidates
(
    job_id             UUID,
    attempt            UInt32,
    task               LowCardinality(String),
    name               LowCardinality(String),
    at                 DateTime64(3, 'UTC'),
    base               LowCardinality(String),
    method             LowCardinality(String),
    parameters         UInt64,
    trained_parameters UInt64,
    split              LowCardinality(String),
    n                  UInt64,
    correct            UInt64,
    accuracy           Float64,
    low                Float64,
    high               Float64,
    p50_ms             Float64,
    p95_ms             Float64,
    cost_per_1k        Float64,
    seconds            Float64,
    gate               LowCardinality(String),
    reason             String,
    version            LowCardinality(String),
    dataset            String,
    detail             String
)
ENGINE = ReplacingMergeTree(at)
ORDER BY (task, toUInt128(job_id), attempt, name, split);

CREATE TABLE IF NOT EXISTS rollouts
(
    request_id  UUID,
    task        LowCardinality(String),
    kind        LowCardinality(String),
    at          DateTime64(3, 'UTC'),
    by          LowCardinality(String),
    candidate   String,
    generation  UInt64,
    reason      String,
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
ORDER BY (task, toUInt128(request_id));

-- Every generation of a task's desired state. live, canary, shadow, previous are JSON (headrace.contract.control.Served).
CREATE TABLE IF NOT EXISTS promotions
(
    task         LowCardinality(String),
    generation   UInt64,
    step         LowCardinality(String),
    live         String,
    canary       String,
    canary_share Float64,
    shadow       String,
    previous     String,
    since        DateTime64(3, 'UTC'),
    at           DateTime64(3, 'UTC'),
    reason       String,
    request_id   Nullable(UUID),
    ingested_at  DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
ORDER BY (task, generation);

CREATE TABLE IF NOT EXISTS replicas
(
    replica     LowCardinality(String),
    task        LowCardinality(String),
    at          DateTime64(3, 'UTC'),
    generation  UInt64,
    live        LowCardinality(String),
    ready       Array(String),
    error       String,
    requests    UInt64,
    failed      UInt64,
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
ORDER BY (task, replica, at)
TTL toDateTime(ingested_at) + INTERVAL 7 DAY;
