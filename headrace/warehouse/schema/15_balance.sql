-- The balance of events: what proves that nothing is lost, kept so that a look reads what changed and not all history.
-- An hour is the hour of an event's id, which no retry and no replay can change. Sets of ids have a partition a month of the
-- year: twelve, whatever the ids, and an id is always in the same one.

-- Feedback that was parked longer than the plan allows, or is older than the plan keeps anything. This set is the truth
-- about it: whoever is in it counts as expired and as nothing else, also where a replay brings its row back; the rows and
-- the ledger follow it.
CREATE TABLE IF NOT EXISTS expired
(
    feedback_id UUID COMMENT 'the feedback',
    tenant      LowCardinality(String) COMMENT 'whose event it is: the name that its API key stands for',
    revision    UInt32 COMMENT 'of the feedback',
    ground_truth Bool COMMENT '1 for what an outcome, judge, reviewer or audit said, 0 for what a user did',
    emitter     LowCardinality(String) COMMENT 'which program sent it; each counts its own events',
    expired_at  DateTime64(3, 'UTC') COMMENT 'when it expired (UTC)',
    why         LowCardinality(String) DEFAULT 'parked' COMMENT 'parked (for too long, without its answer) or retention (older than the plan keeps anything)',
    INDEX expired_at_range expired_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toMonth(UUIDv7ToDateTime(feedback_id, 'UTC'))
PRIMARY KEY (toUInt128(feedback_id), tenant, revision)
ORDER BY (toUInt128(feedback_id), tenant, revision, ground_truth)
COMMENT 'Feedback that is kept no longer, one row a feedback and revision: counted as expired and as nothing else';

-- Answers that are older than the plan keeps anything: the same for them. Feedback about one of them is stored all the
-- same, and not parked.
CREATE TABLE IF NOT EXISTS expired_inferences
(
    inference_id UUID COMMENT 'the answer',
    tenant       LowCardinality(String) COMMENT 'whose event it is: the name that its API key stands for',
    emitter      LowCardinality(String) COMMENT 'which program sent it; each counts its own events',
    expired_at   DateTime64(3, 'UTC') COMMENT 'when it expired (UTC)',
    INDEX expired_at_range expired_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toMonth(UUIDv7ToDateTime(inference_id, 'UTC'))
ORDER BY (toUInt128(inference_id), tenant)
COMMENT 'Answers that are kept no longer, one row each: counted as expired and as nothing else';

-- Which emitter brought which event, as events are stored. A retry may reach another gateway, or the same one after its restart:
-- both count the event, and its row names the one that sent it last. What an emitter brought is known by this, however the
-- rows are merged. Who counts as its emitter once it expired does not change any more: then the arrivals of that emitter leave
-- with the event's month, and those of others are kept (place 1).
CREATE TABLE IF NOT EXISTS arrivals
(
    event_id     UUID COMMENT 'the event',
    tenant       LowCardinality(String) COMMENT 'whose event it is: the name that its API key stands for',
    kind         LowCardinality(String) COMMENT 'inferences or feedback',
    revision     UInt32 COMMENT 'of feedback; 0 for answers, whose revisions are one event',
    ground_truth Bool COMMENT 'of feedback, as in feedback; 0 for answers',
    emitter      LowCardinality(String) COMMENT 'which program sent it; each counts its own events',
    ingested_at  DateTime64(3, 'UTC') COMMENT 'when it was stored, as in the event''s table (UTC)',
    place        UInt32 COMMENT 'the partition: as in the event''s table; 1 where the event expired under another emitter',
    INDEX ingested_at_range ingested_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY place
PRIMARY KEY toUInt128(event_id)
ORDER BY (toUInt128(event_id), tenant, kind, revision, ground_truth, emitter)
COMMENT 'Which emitter brought which event, one row an event and emitter';

-- An insert is acknowledged when both tables have it: one that is killed between them is repeated.
CREATE MATERIALIZED VIEW IF NOT EXISTS arrivals_of_inferences TO arrivals AS
SELECT inference_id AS event_id, tenant, 'inferences' AS kind, toUInt32(0) AS revision, false AS ground_truth, emitter, ingested_at, place
FROM inferences;

-- The resolver writes feedback again, under the same emitter: the same arrival.
CREATE MATERIALIZED VIEW IF NOT EXISTS arrivals_of_feedback TO arrivals AS
SELECT feedback_id AS event_id, tenant, 'feedback' AS kind, revision, ground_truth, emitter, ingested_at, place
FROM feedback;

-- Feedback that waited for its inference at the last pass (gone: 1, where it does no longer). `parked_now` is up to date.
CREATE TABLE IF NOT EXISTS parked
(
    feedback_id  UUID COMMENT 'the feedback',
    tenant       LowCardinality(String) COMMENT 'whose event it is: the name that its API key stands for',
    revision     UInt32 COMMENT 'of the feedback',
    ground_truth Bool COMMENT '1 for what an outcome, judge, reviewer or audit said, 0 for what a user did',
    inference_id UUID COMMENT 'the answer that it waits for; all zeros where a reference is not resolved',
    resolved     UInt8 COMMENT 'as in feedback',
    emitter      LowCardinality(String) COMMENT 'which program sent it; each counts its own events',
    known_at     DateTime64(6, 'UTC') COMMENT 'when this was found (UTC); the last one counts',
    gone         UInt8 COMMENT '1 where it waits no longer',
    INDEX known_at_range known_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(known_at, gone)
PARTITION BY toMonth(UUIDv7ToDateTime(feedback_id, 'UTC'))
PRIMARY KEY (toUInt128(feedback_id), tenant, revision)
ORDER BY (toUInt128(feedback_id), tenant, revision, ground_truth)
COMMENT 'Feedback that waited for its answer at the last pass of housekeeping; the view parked_now is up to date';

-- The passes of housekeeping: what was ingested before `until` is in `parked` and `reconciliations`.
CREATE TABLE IF NOT EXISTS balance_passes
(
    until   DateTime64(3, 'UTC') COMMENT 'what was ingested before it is in parked and reconciliations (UTC)',
    seconds Float64 COMMENT 'how long the pass took',
    hours   UInt64 COMMENT 'rows of reconciliations afterwards',
    expired UInt64 COMMENT 'feedback that expired in it',
    parked  UInt64 COMMENT 'feedback that waited for its answer afterwards',
    by      String COMMENT 'the worker that ran it'
)
ENGINE = ReplacingMergeTree
ORDER BY until
COMMENT 'Passes of housekeeping, one row each';

-- The balance of one emitter, kind and hour as the last pass that found it changed knew it. hour 1970-01-01 holds dead
-- letters without a usable id. emitted: as its counters say, by their own time; sent, acknowledged and sequence are the
-- last cumulative counter of the hour (sequence -1: it sent none). missing: the part of what the emitter lacks now that
-- it lacks since this hour.
CREATE TABLE IF NOT EXISTS reconciliations
(
    kind          LowCardinality(String) COMMENT 'inferences or feedback',
    emitter       String COMMENT 'which program sent them; empty for what belongs to none',
    hour          DateTime('UTC') COMMENT 'hour of the events'' ids (UTC); 1970-01-01 holds dead letters without a usable id',
    at            DateTime64(6, 'UTC') COMMENT 'when it was settled (UTC); the last one counts',
    emitted       Int64 COMMENT 'events, as its counters say, by their own time',
    stored        Int64 COMMENT 'events that are rows; feedback whose answer is there too',
    parked        Int64 COMMENT 'feedback whose answer is not there (yet)',
    dead_lettered Int64 COMMENT 'events that could not become a row',
    expired       Int64 COMMENT 'events that expired: feedback parked for too long',
    erased        Int64 COMMENT 'events that a person had erased',
    repeated      Int64 COMMENT 'events that another emitter sent too, and under which they are counted',
    missing       Int64 COMMENT 'events that were emitted and are nowhere: the part of what the emitter lacks now that it lacks since this hour',
    duplicated    Int64 COMMENT 'rows more than there are ids',
    sequence      Int64 COMMENT 'last sequence of its counters in this hour; -1: it sent none',
    sent          Int64 COMMENT 'its cumulative count then, without what it dropped',
    acknowledged  Int64 COMMENT 'its cumulative count of acknowledged events then'
)
ENGINE = ReplacingMergeTree(at)
ORDER BY (kind, emitter, hour)
COMMENT 'The balance of one emitter, kind and hour, as the last pass that found it changed knew it; the view balance is up to date';

-- Offsets of a topic's partition that no row and no dead letter accounts for: one row a run of offsets, the last
-- checked_at wins. A partition without such a run is proven below `offset_proofs.proven`.
CREATE TABLE IF NOT EXISTS offset_gaps
(
    topic      LowCardinality(String) COMMENT 'topic of the run',
    partition  UInt16 COMMENT 'partition of the run',
    topic_id   String COMMENT 'which topic of that name; see offset_proofs',
    first      UInt64 COMMENT 'first offset, included',
    last       UInt64 COMMENT 'last offset, included',
    state      LowCardinality(String) COMMENT 'unread (not known yet: the next pass reads on), missing (the broker still has them), lost (it removed them before they were proven), unknown (never to be known: the topic was made again, or its broker lost it), explained (other records hold the same events, or an aborted transaction)',
    events     UInt64 COMMENT 'how many events are missing, where they could be read',
    emitter    String COMMENT 'who sent the first of them',
    hour       DateTime('UTC') COMMENT 'the hour of the first of them (UTC)',
    note       String COMMENT 'what was found, in words',
    checked_at DateTime64(3, 'UTC') COMMENT 'when it was looked into (UTC); the last one counts'
)
ENGINE = ReplacingMergeTree(checked_at)
PRIMARY KEY (topic, partition, first)
ORDER BY (topic, partition, first, topic_id)
COMMENT 'Runs of Kafka offsets that no row and no dead letter accounts for, and what became of them';

-- Up to which offset each partition is accounted for, by the last pass.
CREATE TABLE IF NOT EXISTS offset_proofs
(
    topic      LowCardinality(String) COMMENT 'topic',
    partition  UInt16 COMMENT 'partition',
    topic_id   String COMMENT 'the broker''s id of the topic, which differs where one was made again under the same name; with a time where the broker gives none and offsets went back',
    proven     UInt64 COMMENT 'every offset below it was looked at',
    begin      UInt64 COMMENT 'first offset that the broker had then',
    committed  UInt64 COMMENT 'offset that the workers had acknowledged then',
    end        UInt64 COMMENT 'offset that the next record would have got then',
    since      DateTime64(3, 'UTC') COMMENT 'rows that were ingested earlier came from a former topic of that name (UTC); 1970-01-01 where there was none',
    checked_at DateTime64(3, 'UTC') COMMENT 'when it was looked at (UTC)'
)
ENGINE = ReplacingMergeTree(checked_at)
ORDER BY (topic, partition)
COMMENT 'Up to which offset each partition is accounted for, by the last pass';

-- Partitions that a worker stopped because most of what came was poison, and people's permissions to go on. The newest
-- row of a partition is its state: stopped, or accepted up to the offset `through`, below which no limit holds.
CREATE TABLE IF NOT EXISTS stopped_partitions
(
    topic     LowCardinality(String) COMMENT 'topic',
    partition UInt16 COMMENT 'partition',
    at        DateTime64(6, 'UTC') COMMENT 'when (UTC); the newest row is the partition''s state',
    state     LowCardinality(String) COMMENT 'stopped or accepted',
    offset    UInt64 COMMENT 'where it stopped',
    through   UInt64 COMMENT 'accepted: no limit holds below this offset',
    events    UInt64 COMMENT 'events in the last records before it stopped',
    poison    UInt64 COMMENT 'how many of them were bad',
    reason    String COMMENT 'why, in words',
    by        String COMMENT 'the worker that stopped it, or the person who accepted'
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, partition, at)
COMMENT 'Partitions that a worker stopped because most of what came was poison, and people''s permissions to go on';

-- Dead letters that were sent again, and where they went: one that bears no id is then counted at its new place.
CREATE TABLE IF NOT EXISTS replays
(
    topic         LowCardinality(String) COMMENT 'topic of the dead letter',
    partition     UInt16 COMMENT 'partition of the dead letter',
    offset        UInt64 COMMENT 'offset of the dead letter',
    record_index  Int32 COMMENT 'place of the dead letter in its record; -1: the whole record',
    digest        UInt64 COMMENT 'of the dead letter''s bytes, as in dead_letters',
    at            DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when it was sent again (UTC)',
    to_partition  UInt16 COMMENT 'partition that it went to',
    to_offset     UInt64 COMMENT 'offset that it got'
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, partition, offset, record_index, digest)
COMMENT 'Dead letters that were sent again, and where they went';
