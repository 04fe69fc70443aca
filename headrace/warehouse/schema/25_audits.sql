-- Answers drawn for review after they were served, beside the base audit that is drawn as they are stored (inferences.audited).
-- purpose: uniform (by a hash of the id, whoever answered and whatever was said: as good as the base audit) or targeted
-- (by strata, to make estimates tighter; enters them by its inclusion probability and never the hard trigger).
CREATE TABLE IF NOT EXISTS audit_draws
(
    task                  LowCardinality(String) COMMENT 'the task',
    tenant                LowCardinality(String) COMMENT 'whose event it is: the name that its API key stands for',
    inference_id          UUID COMMENT 'the answer',
    drawn_at              DateTime64(6, 'UTC') COMMENT 'event time: the watermark at which it was drawn',
    purpose               LowCardinality(String) COMMENT 'uniform (as good as the base audit) or targeted (by strata; enters estimates by its inclusion probability, never the hard trigger)',
    stratum               LowCardinality(String) COMMENT 'empty for a uniform draw',
    inclusion_probability Float64 COMMENT 'that this answer is drawn at all, base audit included; 0 to 1',
    reason                String COMMENT 'why it was drawn, in words',
    ingested_at           DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when the insert of this row began, by ClickHouse''s clock (UTC)'
)
ENGINE = ReplacingMergeTree
ORDER BY (task, toUInt128(inference_id), tenant, purpose)
COMMENT 'Answers drawn for review after they were served, beside the base audit that is drawn as they are stored';


-- Blind labels of the base audit and of uniform draws beside what was answered, copied when a label arrives, so that a
-- look at them reads no answers and no feedback. `audit_current` is this and what came since the last copy. A partition is a
-- month of answers, as theirs is (headrace/places.py), and leaves with it.
CREATE TABLE IF NOT EXISTS audit_labels
(
    task              LowCardinality(String) COMMENT 'the task',
    tenant            LowCardinality(String) COMMENT 'whose answer',
    inference_id      UUID COMMENT 'the answer',
    occurred_at       DateTime64(6, 'UTC') COMMENT 'when it was given',
    version           LowCardinality(String) COMMENT 'the version that answered',
    arm               LowCardinality(String) COMMENT 'live or canary',
    input             String CODEC(ZSTD(1)) COMMENT 'the question',
    answered          LowCardinality(String) COMMENT 'the label that was answered',
    audit_probability Float32 COMMENT 'that the base audit draws such an answer, 0 to 1',
    label             LowCardinality(String) COMMENT 'the right label, by an expert who saw the question alone; empty where the answer was corrected to another version or task: the row counts nowhere',
    unknown           Bool COMMENT 'whether the label is empty or none of the task''s: such a row counts nowhere',
    feedback_id       UUID COMMENT 'the feedback that said so',
    labelled_at       DateTime64(6, 'UTC') COMMENT 'when it was said',
    rater             LowCardinality(String) COMMENT 'who said so',
    error             Bool COMMENT 'whether the answer was wrong; 0 where the label is unknown',
    word              UInt256 COMMENT 'order of labels of one answer, the greatest counts: revision, time, feedback_id',
    ingested_at       DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when it was copied, by the warehouse clock',
    place             UInt32 DEFAULT multiIf(UUIDv7ToDateTime(inference_id, 'UTC') < ingested_at - INTERVAL 1000 DAY, 0, UUIDv7ToDateTime(inference_id, 'UTC') > ingested_at + INTERVAL 10 MINUTE, 999999, toYYYYMM(UUIDv7ToDateTime(inference_id, 'UTC'))) COMMENT 'the partition, as in inferences',
    INDEX ingested_at_range ingested_at TYPE minmax GRANULARITY 1,
    INDEX occurred_at_range occurred_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(word)
PARTITION BY place
ORDER BY (task, version, toUInt128(inference_id), tenant)
COMMENT 'Blind labels of the base audit and of uniform draws beside what was answered, copied as labels arrive';
