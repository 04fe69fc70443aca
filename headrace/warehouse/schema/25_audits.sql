-- Answers drawn for review after they were served, beside the base audit that is drawn at serving time (inferences.audited).
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
COMMENT 'Answers drawn for review after they were served, beside the base audit that is drawn at serving time';
