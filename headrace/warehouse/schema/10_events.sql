-- What emitters sent. One row an event, whatever is replayed: the sort key is led by the event id. UUIDv7 sorts in time order
-- as UInt128. Of two rows of one answer the greater (revision, occurred_at) counts, in whatever order they came.
-- The partition, `place`, is the month of the id's own time, where that lies between 1,000 days before the insert and 10 minutes
-- after it; else it is 0 (before) or 999999 (after), so that a block of any ids makes at most 36 parts. A row's partition never
-- changes; two rows of one event may lie in two partitions, and FINAL makes one of them. See headrace/places.py.
CREATE TABLE IF NOT EXISTS inferences
(
    inference_id      UUID COMMENT 'the answer; a UUIDv7, which carries the time at which the emitter made it',
    occurred_at       DateTime64(6, 'UTC') COMMENT 'when it was answered (UTC)',
    tenant            LowCardinality(String) COMMENT 'whose event it is: the name that its API key stands for',
    task              LowCardinality(String) COMMENT 'the decision that the model makes, as in router',
    version           LowCardinality(String) COMMENT 'the version that answered, as in router@12; router@0 is the incumbent by convention',
    arm               LowCardinality(String) COMMENT 'who it was for: live or canary (a user saw it), shadow (computed beside the live answer, shown to nobody)',
    session_id        String COMMENT 'the conversation that it belongs to; empty where it has none',
    user_ref          String COMMENT 'pseudonym of the person who asked',
    input             String COMMENT 'the question, redacted where the emitter redacts' CODEC(ZSTD(1)),
    output            String COMMENT 'free text that was answered, where there is any' CODEC(ZSTD(1)),
    label             LowCardinality(String) COMMENT 'the class that was chosen, as an expert for a router',
    scores            Map(LowCardinality(String), Float32) COMMENT 'label to probability, 0 to 1',
    first_token_ms    Float32 COMMENT 'milliseconds until the first token',
    latency_ms        Float32 COMMENT 'milliseconds until the last token',
    tokens_in         UInt32 COMMENT 'tokens of the prompt',
    tokens_out        UInt32 COMMENT 'tokens of the answer',
    cost              Float64 COMMENT 'US dollars for this answer',
    trace_id          String COMMENT 'OpenTelemetry''s trace, by which feedback may name the answer',
    span_id           String COMMENT 'OpenTelemetry''s span, by which feedback may name the answer',
    response_id       String COMMENT 'the provider''s id of the response, by which feedback may name the answer',
    consent           Bool COMMENT 'whether it may be used for training',
    parent_id         Nullable(UUID) COMMENT 'on arm shadow: the answer that the user saw; else NULL',
    audited           Bool COMMENT 'drawn into the blind base audit when it was stored',
    audit_probability Float32 COMMENT 'with which probability it could be drawn into the base audit, 0 to 1',
    signed            Bool COMMENT 'whether a gateway proved that the answer is its own',
    emitter           LowCardinality(String) COMMENT 'which program sent it; each counts its own events',
    key_id            LowCardinality(String) COMMENT 'the API key that brought it, as the gateway says; empty where none did',
    revision          UInt32 COMMENT '0, or which correction of the same event by its emitter',
    schema_version    UInt16 COMMENT 'of the event contract that the emitter spoke',
    extra             String COMMENT 'fields of the event that this version does not know, a JSON object',
    given_id          String COMMENT 'what its emitter called it, where that is no UUIDv7 (the id is then derived, see foreign_ids); else empty',
    given_parent_id   String COMMENT 'the same of parent_id',
    kafka_topic       LowCardinality(String) COMMENT 'topic of the record that it came in',
    kafka_partition   UInt16 COMMENT 'partition of the record that it came in',
    kafka_offset      UInt64 COMMENT 'offset of the record that it came in',
    kafka_index       UInt32 COMMENT 'its place in that record, from 0',
    ingested_at       DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when the insert of this row began, by ClickHouse''s clock (UTC)',
    precedence        UInt128 MATERIALIZED bitOr(bitShiftLeft(toUInt128(revision), 64), toUInt128(greatest(0, toUnixTimestamp64Micro(occurred_at)))) COMMENT 'revision and occurred_at as one number: of two rows of one answer the greater counts',
    place             UInt32 DEFAULT multiIf(UUIDv7ToDateTime(inference_id, 'UTC') < ingested_at - INTERVAL 1000 DAY, 0, UUIDv7ToDateTime(inference_id, 'UTC') > ingested_at + INTERVAL 10 MINUTE, 999999, toYYYYMM(UUIDv7ToDateTime(inference_id, 'UTC'))) COMMENT 'the partition: the month of the id''s time as in 202611; 0 where the id is more than 1,000 days older than the insert, 999999 where it is more than 10 minutes ahead',
    INDEX occurred_at_range occurred_at TYPE minmax GRANULARITY 1,
    INDEX ingested_at_range ingested_at TYPE minmax GRANULARITY 1,
    INDEX session_bloom session_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX trace_bloom trace_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX span_bloom span_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX response_bloom response_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX given_bloom given_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX audited_set (task, audited) TYPE set(16) GRANULARITY 1,
    INDEX answer_days toDate(UUIDv7ToDateTime(inference_id, 'UTC')) TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(precedence)
PARTITION BY place
ORDER BY (toUInt128(inference_id), tenant)
COMMENT 'Answers of model versions to questions, one row an answer, as they were emitted';

-- Feedback that names its answer by a reference has the nil inference_id until the resolver (streams/resolver.py)
-- writes the same row again with the answer's id and a greater `resolved`: a replay of the original never undoes it.
-- resolved: 0 as emitted, n after the n-th time; resolved_by: id, response, span, trace or session. A former revision is written
-- again, too, where a greater one is about another answer (resolver/follow.sql): it goes along, so that no answer keeps it.
CREATE TABLE IF NOT EXISTS feedback
(
    feedback_id           UUID COMMENT 'the feedback; a UUIDv7, which carries the time at which the emitter made it',
    inference_id          UUID COMMENT 'the answer that it is about; all zeros while a reference is not resolved',
    occurred_at           DateTime64(6, 'UTC') COMMENT 'when it was said (UTC)',
    tenant                LowCardinality(String) COMMENT 'whose event it is: the name that its API key stands for',
    task                  LowCardinality(String) COMMENT 'the task of the answer, where the emitter said it',
    source                LowCardinality(String) COMMENT 'who says so: user, implicit (seen in behaviour), outcome (the business''s own systems), judge (a language model), reviewer (an expert who saw answer and complaint), audit (an expert who saw the question alone)',
    signal                LowCardinality(String) COMMENT 'what was said: thumb, rating, correction, comment, rephrase, reroute, escalation, abandon, resolution, label, verdict',
    session_id            String COMMENT 'reference: the answer of this conversation that had begun last before occurred_at',
    trace_id              String COMMENT 'reference: the last answer of this trace',
    span_id               String COMMENT 'reference: the answer that bears this span',
    response_id           String COMMENT 'reference: the answer that bears this response id',
    value                 Nullable(Float64) COMMENT 'thumb: 1 up, -1 down; rating: 1 to 5; resolution: 1 solved, 0 not; else NULL',
    label                 LowCardinality(String) COMMENT 'the right label, where the source says it; else empty',
    comment               String COMMENT 'what was written' CODEC(ZSTD(1)),
    blame                 LowCardinality(String) COMMENT 'which step failed: routing, retrieval, generation, rephrasing, guardrail, no_error; empty where nobody says',
    rater                 LowCardinality(String) COMMENT 'who or which model said so',
    rater_version         LowCardinality(String) COMMENT 'which version of the rater, as in judge@1',
    inclusion_probability Float32 COMMENT 'with which probability the answer was drawn for labelling, 0 to 1; 0 where nobody drew it',
    ground_truth          Bool COMMENT '1 for what an outcome, judge, reviewer or audit said, 0 for what a user did: neither replaces the other',
    emitter               LowCardinality(String) COMMENT 'which program sent it; each counts its own events',
    key_id                LowCardinality(String) COMMENT 'the API key that brought it, as the gateway says; empty where none did',
    revision              UInt32 COMMENT '0, or which correction of the same feedback: the greatest counts',
    schema_version        UInt16 COMMENT 'of the event contract that the emitter spoke',
    extra                 String COMMENT 'fields of the event that this version does not know, a JSON object',
    given_id              String COMMENT 'what its emitter called it, where that is no UUIDv7 (the id is then derived, see foreign_ids); else empty',
    given_inference_id    String COMMENT 'reference: what named the answer instead of a UUIDv7: what its emitter called it, or its response id',
    kafka_topic           LowCardinality(String) COMMENT 'topic of the record that it came in',
    kafka_partition       UInt16 COMMENT 'partition of the record that it came in',
    kafka_offset          UInt64 COMMENT 'offset of the record that it came in',
    kafka_index           UInt32 COMMENT 'its place in that record, from 0',
    resolved              UInt8 DEFAULT 0 COMMENT '0 as emitted, n after it was written again for the n-th time, with the answer that its reference or its greatest revision means; the greatest counts',
    resolved_by           LowCardinality(String) DEFAULT '' COMMENT 'what its reference was resolved by: id, response, span, trace or session; empty where it named the answer or is not resolved',
    former_ids            Array(UUID) COMMENT 'answers that it was about before its reference found a better one or a greater revision named another',
    ingested_at           DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when the insert of this row began, by ClickHouse''s clock (UTC)',
    place                 UInt32 DEFAULT multiIf(UUIDv7ToDateTime(feedback_id, 'UTC') < ingested_at - INTERVAL 1000 DAY, 0, UUIDv7ToDateTime(feedback_id, 'UTC') > ingested_at + INTERVAL 10 MINUTE, 999999, toYYYYMM(UUIDv7ToDateTime(feedback_id, 'UTC'))) COMMENT 'the partition: the month of the id''s time as in 202611; 0 where the id is more than 1,000 days older than the insert, 999999 where it is more than 10 minutes ahead',
    INDEX occurred_at_range occurred_at TYPE minmax GRANULARITY 1,
    INDEX ingested_at_range ingested_at TYPE minmax GRANULARITY 1,
    INDEX inference_bloom inference_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX answer_days toDate(UUIDv7ToDateTime(inference_id, 'UTC')) TYPE set(0) GRANULARITY 1,
    INDEX answer_hours toStartOfHour(UUIDv7ToDateTime(inference_id, 'UTC')) TYPE set(0) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(resolved)
PARTITION BY place
PRIMARY KEY (toUInt128(feedback_id), tenant, revision)
ORDER BY (toUInt128(feedback_id), tenant, revision, ground_truth)
COMMENT 'Signs of how good an answer was, one row a feedback and revision, as they were emitted';

-- Records, or events of one, that could not become a row: original bytes (base64) and origin. record_index -1: the whole record.
CREATE TABLE IF NOT EXISTS dead_letters
(
    topic       LowCardinality(String) COMMENT 'topic of the record',
    partition   UInt16 COMMENT 'partition of the record',
    offset      UInt64 COMMENT 'offset of the record',
    record_index Int32 COMMENT 'its place in the record, from 0; -1: the whole record',
    at          DateTime64(3, 'UTC') COMMENT 'when it was refused (UTC)',
    reason      String COMMENT 'why, in words',
    code        Int32 COMMENT 'ClickHouse''s error code where it refused the row; 0 where decoding did',
    original    String COMMENT 'its bytes, base64; empty after 30 days, and where excerpt describes them' CODEC(ZSTD(1)) TTL toDateTime(ingested_at) + toIntervalDay(30),
    excerpt     String COMMENT 'of an original that is too large for a letter and stays in its own topic, a JSON object: length in bytes, digest (SHA-256), head and tail (base64); else empty, and after 30 days' CODEC(ZSTD(1)) TTL toDateTime(ingested_at) + toIntervalDay(30),
    event_id    Nullable(UUID) COMMENT 'the event''s id where it bears a usable one; else NULL',
    digest      UInt64 COMMENT 'of its bytes: tells it from a letter at the same place of a topic that was made again; 0 for letters of older versions',
    extra       String COMMENT 'fields that a newer version added, a JSON object; empty where there are none',
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when the insert of this row began, by ClickHouse''s clock (UTC)',
    emitter     String MATERIALIZED JSONExtractString(tryBase64Decode(original), 'emitter') COMMENT 'who sent it, as the original says; empty where that cannot be read',
    revision    UInt32 MATERIALIZED JSONExtractUInt(tryBase64Decode(original), 'revision') COMMENT 'the event''s revision, as the original says; 0 where that cannot be read',
    hour        DateTime('UTC') MATERIALIZED if(substring(ifNull(toString(event_id), ''), 15, 1) = '7', toStartOfHour(UUIDv7ToDateTime(assumeNotNull(event_id), 'UTC')), toDateTime(0, 'UTC')) COMMENT 'the hour of the event''s id (UTC); 1970-01-01 where it has no usable one',
    tenant      String MATERIALIZED if(JSONExtractString(tryBase64Decode(original), 'tenant') = '', 'default', JSONExtractString(tryBase64Decode(original), 'tenant')) COMMENT 'whose event it is, as the original says',
    INDEX ingested_at_range ingested_at TYPE minmax GRANULARITY 1,
    INDEX hour_range hour TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, partition, offset, record_index, digest)
COMMENT 'Records, or events of one, that could not become a row, with their original bytes';

-- What each emitter says it has sent: cumulative counts, the greatest sequence of an emitter is its whole count.
CREATE TABLE IF NOT EXISTS emitters
(
    emitter      String COMMENT 'which program counts',
    kind         LowCardinality(String) COMMENT 'inferences or feedback',
    sequence     UInt64 COMMENT 'grows with each report of an emitter and kind',
    at           DateTime64(3, 'UTC') COMMENT 'when it counted, by its own clock (UTC)',
    emitted      UInt64 COMMENT 'events so far',
    acknowledged UInt64 COMMENT 'events so far that Kafka acknowledged',
    dropped      UInt64 COMMENT 'events so far that its full buffer or spool refused',
    extra        String COMMENT 'fields that a newer version added, a JSON object; empty where there are none',
    ingested_at  DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when the insert of this row began, by ClickHouse''s clock (UTC)',
    INDEX ingested_at_range ingested_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
ORDER BY (emitter, kind, sequence)
COMMENT 'What each emitter says that it has sent: cumulative counts, of which the greatest sequence is the whole';

-- Events that left the tables on purpose, counted before they went. what: expired or erased.
CREATE TABLE IF NOT EXISTS ledger
(
    entry_id    UUID COMMENT 'derived from what is counted, so that an entry written again is the same one',
    at          DateTime64(3, 'UTC') COMMENT 'when they left (UTC)',
    what        LowCardinality(String) COMMENT 'expired or erased',
    kind        LowCardinality(String) COMMENT 'inferences or feedback',
    tenant      LowCardinality(String) COMMENT 'whose event it is: the name that its API key stands for',
    events      UInt64 COMMENT 'how many',
    reason      String COMMENT 'why, in words',
    emitter     String DEFAULT '' COMMENT 'who had sent them; empty where that is not known',
    hour        DateTime('UTC') DEFAULT toDateTime(0, 'UTC') COMMENT 'the hour of their ids (UTC); 1970-01-01 where that is not known',
    itemised    Bool DEFAULT false COMMENT '1 where they stand one by one in the table expired, and are counted there',
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when the insert of this row began, by ClickHouse''s clock (UTC)'
)
ENGINE = ReplacingMergeTree
ORDER BY (what, entry_id)
COMMENT 'Events that left the tables on purpose, counted before they went';

-- Feedback that names its answer by a reference, from its arrival until it is resolved: the resolver's memory, small
-- whatever the history. The row with the greatest `step` counts.
-- state: new -> waiting (nothing among the answers that were there) -> found (to be written into feedback) -> done.
-- What is done by a session or a trace goes back to new when a better answer arrives (see resolver/match.sql).
CREATE TABLE IF NOT EXISTS feedback_waiting
(
    feedback_id  UUID COMMENT 'the feedback',
    tenant       LowCardinality(String) COMMENT 'whose event it is: the name that its API key stands for',
    revision     UInt32 COMMENT 'of the feedback',
    ground_truth Bool COMMENT '1 for what an outcome, judge, reviewer or audit said, 0 for what a user did',
    occurred_at  DateTime64(6, 'UTC') COMMENT 'when it was said (UTC)',
    task         LowCardinality(String) COMMENT 'the task of the answer, where the emitter said it',
    session_id   String COMMENT 'reference: a conversation',
    trace_id     String COMMENT 'reference: a trace',
    span_id      String COMMENT 'reference: a span',
    response_id  String COMMENT 'reference: a response id',
    given_inference_id String COMMENT 'reference: a text that names the answer, as in feedback',
    received_at  DateTime64(3, 'UTC') DEFAULT ingested_at COMMENT 'when the feedback was stored first: it was not given later (UTC)',
    step         UInt32 COMMENT 'counts the changes of state; the row with the greatest one counts',
    state        LowCardinality(String) COMMENT 'new, waiting (no such answer yet), found (to be written into feedback), done',
    inference_id UUID COMMENT 'the answer that was found; all zeros before',
    answered_at  DateTime64(6, 'UTC') COMMENT 'when that answer was given (UTC)',
    resolved_by  LowCardinality(String) COMMENT 'id, response, span, trace or session',
    closeness    Int64 DEFAULT toUnixTimestamp64Micro(answered_at) COMMENT 'of answers that are found in the same way the one with the greatest is meant (see resolver/match.sql)',
    ingested_at  DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when the insert of this row began, by ClickHouse''s clock (UTC)',
    INDEX ingested_at_range ingested_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(step)
PRIMARY KEY (toUInt128(feedback_id), tenant, revision)
ORDER BY (toUInt128(feedback_id), tenant, revision, ground_truth)
TTL toDateTime(ingested_at) + INTERVAL 2 DAY DELETE WHERE state = 'done',
    toDateTime(ingested_at) + INTERVAL 400 DAY DELETE
COMMENT 'Feedback that names its answer by a reference, from its arrival until it is resolved: the resolver''s memory';

-- How far a step that works through arrivals has come (ingested_at), kept over restarts.
CREATE TABLE IF NOT EXISTS cursors
(
    name    LowCardinality(String) COMMENT 'the step',
    reached DateTime64(3, 'UTC') COMMENT 'what was ingested before it is done (UTC)',
    at      DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when it was written (UTC)'
)
ENGINE = ReplacingMergeTree(at)
ORDER BY name
COMMENT 'How far a step that works through arrivals has come, kept over restarts';

-- From which offset of a topic's partition a stricter rule holds: headrace.feedback held labels too, until they had a
-- topic of their own. The least bound that was ever written counts, so that a bound never moves to later records.
CREATE TABLE IF NOT EXISTS topic_bounds
(
    topic     LowCardinality(String) COMMENT 'topic',
    partition UInt16 COMMENT 'partition',
    bound     SimpleAggregateFunction(min, UInt64) COMMENT 'the first offset at which the stricter rule holds'
)
ENGINE = AggregatingMergeTree
ORDER BY (topic, partition)
COMMENT 'From which offset of a topic''s partition a stricter rule holds: headrace.feedback held labels too, until they had a topic';

-- The ids that stand for texts that emitters gave instead of a UUIDv7. A key is 128 bits of the SHA-256 of kind, tenant and text
-- (headrace/contract/given_ids.py). Of two ids of one key the one that was written first counts: merges keep it, and a look finds
-- it by its part (ingest/foreign_ids.sql), so the table has one partition. Its small granules hold few others beside a key.
CREATE TABLE IF NOT EXISTS foreign_ids
(
    key         UInt128 COMMENT 'which text of which tenant, hashed',
    event_id    SimpleAggregateFunction(any, UUID) COMMENT 'the id that stands for it: a UUIDv7 of the time of the first event that bore it',
    ingested_at SimpleAggregateFunction(any, DateTime64(3, 'UTC')) DEFAULT now64(3) COMMENT 'when the insert of this row began, by ClickHouse''s clock (UTC)'
)
ENGINE = AggregatingMergeTree
ORDER BY key
SETTINGS index_granularity = 256, min_compress_block_size = 4096, max_compress_block_size = 8192
COMMENT 'The ids that stand for texts that emitters gave their events instead of a UUIDv7';
