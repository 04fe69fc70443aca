-- The balance of events: what proves that nothing is lost, kept so that a look reads what changed and not all history.
-- An hour is the hour of an event's id, which no retry and no replay can change.

-- Feedback that was parked longer than the plan allows. This set is the truth about it: whoever is in it counts as
-- expired and as nothing else, also where a replay brings its row back; the rows and the ledger follow it.
CREATE TABLE IF NOT EXISTS expired
(
    feedback_id UUID,
    tenant      LowCardinality(String),
    revision    UInt32,
    emitter     LowCardinality(String),
    expired_at  DateTime64(3, 'UTC'),
    INDEX expired_at_range expired_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(UUIDv7ToDateTime(feedback_id, 'UTC'))
ORDER BY (toUInt128(feedback_id), tenant, revision);

-- Feedback that waited for its inference at the last pass (gone: 1, where it does no longer). `parked_now` is up to date.
CREATE TABLE IF NOT EXISTS parked
(
    feedback_id  UUID,
    tenant       LowCardinality(String),
    revision     UInt32,
    inference_id UUID,
    resolved     UInt8,
    emitter      LowCardinality(String),
    known_at     DateTime64(6, 'UTC'),
    gone         UInt8,
    INDEX known_at_range known_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(known_at, gone)
PARTITION BY toYYYYMM(UUIDv7ToDateTime(feedback_id, 'UTC'))
ORDER BY (toUInt128(feedback_id), tenant, revision);

-- The passes of housekeeping: what was ingested before `until` is in `parked` and `reconciliations`.
CREATE TABLE IF NOT EXISTS balance_passes
(
    until   DateTime64(3, 'UTC'),
    seconds Float64,
    hours   UInt64,
    expired UInt64,
    parked  UInt64,
    by      String
)
ENGINE = ReplacingMergeTree
ORDER BY until;

-- The balance of one emitter, kind and hour as the last pass that found it changed knew it. hour 1970-01-01 holds dead
-- letters without a usable id. emitted: as its counters say, by their own time; sent, acknowledged and sequence are the
-- last cumulative counter of the hour (sequence -1: it sent none). missing: the part of what the emitter lacks now that
-- it lacks since this hour.
CREATE TABLE IF NOT EXISTS reconciliations
(
    kind          LowCardinality(String),
    emitter       String,
    hour          DateTime('UTC'),
    at            DateTime64(6, 'UTC'),
    emitted       Int64,
    stored        Int64,
    parked        Int64,
    dead_lettered Int64,
    expired       Int64,
    erased        Int64,
    missing       Int64,
    duplicated    Int64,
    sequence      Int64,
    sent          Int64,
    acknowledged  Int64
)
ENGINE = ReplacingMergeTree(at)
ORDER BY (kind, emitter, hour);

-- Offsets of a topic's partition that no row and no dead letter accounts for: one row a run of offsets, the last
-- checked_at wins. state: missing (the broker still has them: events says how many events, and note what they are),
-- lost (the broker removed them before they were proven), explained (other records hold the same events, or an aborted
-- transaction). A partition without a missing or lost run is proven below `offset_proofs.proven`.
CREATE TABLE IF NOT EXISTS offset_gaps
(
    topic      LowCardinality(String),
    partition  UInt16,
    first      UInt64,
    last       UInt64,
    state      LowCardinality(String),
    events     UInt64,
    emitter    String,
    hour       DateTime('UTC'),
    note       String,
    checked_at DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(checked_at)
ORDER BY (topic, partition, first);

-- Up to which offset each partition is accounted for, by the last pass.
CREATE TABLE IF NOT EXISTS offset_proofs
(
    topic      LowCardinality(String),
    partition  UInt16,
    proven     UInt64,
    begin      UInt64,
    committed  UInt64,
    end        UInt64,
    checked_at DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(checked_at)
ORDER BY (topic, partition);

-- Partitions that a worker stopped because most of what came was poison, and people's permissions to go on. The newest
-- row of a partition is its state: stopped, or accepted up to the offset `through`, below which no limit holds.
CREATE TABLE IF NOT EXISTS stopped_partitions
(
    topic     LowCardinality(String),
    partition UInt16,
    at        DateTime64(6, 'UTC'),
    state     LowCardinality(String),
    offset    UInt64,
    through   UInt64,
    events    UInt64,
    poison    UInt64,
    reason    String,
    by        String
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, partition, at);

-- Dead letters that were sent again, and where they went: one that bears no id is then counted at its new place.
CREATE TABLE IF NOT EXISTS replays
(
    topic         LowCardinality(String),
    partition     UInt16,
    offset        UInt64,
    record_index  Int32,
    at            DateTime64(3, 'UTC') DEFAULT now64(3),
    to_partition  UInt16,
    to_offset     UInt64
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, partition, offset, record_index);

-- Who sent a dead letter, and the hour it belongs to, read from its original once.
ALTER TABLE dead_letters ADD COLUMN IF NOT EXISTS
    emitter String MATERIALIZED JSONExtractString(tryBase64Decode(original), 'emitter');
ALTER TABLE dead_letters ADD COLUMN IF NOT EXISTS
    revision UInt32 MATERIALIZED JSONExtractUInt(tryBase64Decode(original), 'revision');
ALTER TABLE dead_letters ADD COLUMN IF NOT EXISTS
    hour DateTime('UTC') MATERIALIZED if(substring(ifNull(toString(event_id), ''), 15, 1) = '7',
                                         toStartOfHour(UUIDv7ToDateTime(assumeNotNull(event_id), 'UTC')), toDateTime(0, 'UTC'));
ALTER TABLE dead_letters ADD INDEX IF NOT EXISTS ingested_at_range ingested_at TYPE minmax GRANULARITY 1;
ALTER TABLE dead_letters ADD INDEX IF NOT EXISTS hour_range hour TYPE minmax GRANULARITY 1;
ALTER TABLE emitters ADD INDEX IF NOT EXISTS ingested_at_range ingested_at TYPE minmax GRANULARITY 1;

-- Whose events left, and of which hour, where that is known. itemised: 1 where the events stand one by one in `expired`.
ALTER TABLE ledger ADD COLUMN IF NOT EXISTS emitter String DEFAULT '';
ALTER TABLE ledger ADD COLUMN IF NOT EXISTS hour DateTime('UTC') DEFAULT toDateTime(0, 'UTC');
ALTER TABLE ledger ADD COLUMN IF NOT EXISTS itemised Bool DEFAULT false;
ALTER TABLE ledger ADD COLUMN IF NOT EXISTS ingested_at DateTime64(3, 'UTC') DEFAULT now64(3)
