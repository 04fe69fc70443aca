-- What emitters sent. One row an event, whatever is replayed: the sort key is led by the event id, and the partition
-- is the month of the id's own time, which a retry cannot change. UUIDv7 sorts in time order as UInt128.
CREATE TABLE IF NOT EXISTS inferences
(
    inference_id      UUID,
    occurred_at       DateTime64(6, 'UTC'),
    tenant            LowCardinality(String),
    task              LowCardinality(String),
    version           LowCardinality(String),
    arm               LowCardinality(String),
    session_id        String,
    user_ref          String,
    input             String CODEC(ZSTD(1)),
    output            String CODEC(ZSTD(1)),
    label             LowCardinality(String),
    scores            Map(LowCardinality(String), Float32),
    first_token_ms    Float32,
    latency_ms        Float32,
    tokens_in         UInt32,
    tokens_out        UInt32,
    cost              Float64,
    trace_id          String,
    span_id           String,
    response_id       String,
    consent           Bool,
    parent_id         Nullable(UUID),
    audited           Bool,
    audit_probability Float32,
    emitter           LowCardinality(String),
    revision          UInt32,
    schema_version    UInt16,
    extra             String,
    kafka_topic       LowCardinality(String),
    kafka_partition   UInt16,
    kafka_offset      UInt64,
    kafka_index       UInt32,
    ingested_at       DateTime64(3, 'UTC') DEFAULT now64(3),
    INDEX occurred_at_range occurred_at TYPE minmax GRANULARITY 1,
    INDEX ingested_at_range ingested_at TYPE minmax GRANULARITY 1,
    INDEX session_bloom session_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX trace_bloom trace_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX span_bloom span_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX response_bloom response_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX audited_set (task, audited) TYPE set(16) GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(UUIDv7ToDateTime(inference_id, 'UTC'))
ORDER BY (toUInt128(inference_id), tenant)
SETTINGS non_replicated_deduplication_window = 1000;

-- Feedback that names its answer by a reference has the nil inference_id until the resolver (streams/resolver.py)
-- writes the same row again with the answer's id and a greater `resolved`: a replay of the original never undoes it.
-- resolved: 0 as emitted, n after the n-th resolution; resolved_by: response, span, trace or session.
CREATE TABLE IF NOT EXISTS feedback
(
    feedback_id           UUID,
    inference_id          UUID,
    occurred_at           DateTime64(6, 'UTC'),
    tenant                LowCardinality(String),
    task                  LowCardinality(String),
    source                LowCardinality(String),
    signal                LowCardinality(String),
    session_id            String,
    trace_id              String,
    span_id               String,
    response_id           String,
    value                 Nullable(Float64),
    label                 LowCardinality(String),
    comment               String CODEC(ZSTD(1)),
    blame                 LowCardinality(String),
    rater                 LowCardinality(String),
    rater_version         LowCardinality(String),
    inclusion_probability Float32,
    emitter               LowCardinality(String),
    revision              UInt32,
    schema_version        UInt16,
    extra                 String,
    kafka_topic           LowCardinality(String),
    kafka_partition       UInt16,
    kafka_offset          UInt64,
    kafka_index           UInt32,
    resolved              UInt8 DEFAULT 0,
    resolved_by           LowCardinality(String) DEFAULT '',
    ingested_at           DateTime64(3, 'UTC') DEFAULT now64(3),
    INDEX occurred_at_range occurred_at TYPE minmax GRANULARITY 1,
    INDEX ingested_at_range ingested_at TYPE minmax GRANULARITY 1,
    INDEX inference_bloom inference_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(resolved)
PARTITION BY toYYYYMM(UUIDv7ToDateTime(feedback_id, 'UTC'))
ORDER BY (toUInt128(feedback_id), tenant, revision)
SETTINGS non_replicated_deduplication_window = 1000;

-- Records, or events of one, that could not become a row: original bytes (base64) and origin. record_index -1: the whole record.
CREATE TABLE IF NOT EXISTS dead_letters
(
    topic       LowCardinality(String),
    partition   UInt16,
    offset      UInt64,
    record_index Int32,
    at          DateTime64(3, 'UTC'),
    reason      String,
    code        Int32,
    original    String CODEC(ZSTD(1)),
    event_id    Nullable(UUID),
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, partition, offset, record_index);

-- What each emitter says it has sent: cumulative counts, the greatest sequence of an emitter is its whole count.
CREATE TABLE IF NOT EXISTS emitters
(
    emitter      String,
    kind         LowCardinality(String),
    sequence     UInt64,
    at           DateTime64(3, 'UTC'),
    emitted      UInt64,
    acknowledged UInt64,
    dropped      UInt64,
    ingested_at  DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
ORDER BY (emitter, kind, sequence);

-- Events that left the tables on purpose, counted before they went. what: expired or erased.
CREATE TABLE IF NOT EXISTS ledger
(
    entry_id    UUID,
    at          DateTime64(3, 'UTC'),
    what        LowCardinality(String),
    kind        LowCardinality(String),
    tenant      LowCardinality(String),
    events      UInt64,
    reason      String
)
ENGINE = ReplacingMergeTree
ORDER BY (what, entry_id);

-- Feedback that names its answer by a reference, from its arrival until it is resolved: the resolver's memory, small
-- whatever the history. The row with the greatest `step` counts.
-- state: new -> waiting (nothing among the answers that were there) -> found (to be written into feedback) -> done.
-- What is done by a session or a trace goes back to found when a better answer arrives (see resolve_match.sql).
CREATE TABLE IF NOT EXISTS feedback_waiting
(
    feedback_id  UUID,
    tenant       LowCardinality(String),
    revision     UInt32,
    occurred_at  DateTime64(6, 'UTC'),
    task         LowCardinality(String),
    session_id   String,
    trace_id     String,
    span_id      String,
    response_id  String,
    step         UInt32,
    state        LowCardinality(String),
    inference_id UUID,
    answered_at  DateTime64(6, 'UTC'),
    resolved_by  LowCardinality(String),
    ingested_at  DateTime64(3, 'UTC') DEFAULT now64(3),
    INDEX ingested_at_range ingested_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(step)
ORDER BY (toUInt128(feedback_id), tenant, revision)
TTL toDateTime(ingested_at) + INTERVAL 2 DAY DELETE WHERE state = 'done',
    toDateTime(ingested_at) + INTERVAL 400 DAY DELETE;

-- How far a step that works through arrivals has come (ingested_at), kept over restarts.
CREATE TABLE IF NOT EXISTS cursors
(
    name    LowCardinality(String),
    reached DateTime64(3, 'UTC'),
    at      DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(at)
ORDER BY name;
