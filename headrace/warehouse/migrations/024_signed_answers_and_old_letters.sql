-- Which answers a gateway proved to be its own.
ALTER TABLE inferences ADD COLUMN IF NOT EXISTS signed Bool AFTER audit_probability;
-- Whose a dead letter is. Its bytes go after 30 days, as they do from its topic; what was read from them stays.
ALTER TABLE dead_letters ADD COLUMN IF NOT EXISTS tenant String
    MATERIALIZED if(JSONExtractString(tryBase64Decode(original), 'tenant') = '', 'default',
                    JSONExtractString(tryBase64Decode(original), 'tenant'));
ALTER TABLE dead_letters MATERIALIZE COLUMN emitter, MATERIALIZE COLUMN revision, MATERIALIZE COLUMN hour,
    MATERIALIZE COLUMN tenant SETTINGS mutations_sync = 2;
ALTER TABLE dead_letters MODIFY COLUMN original String CODEC(ZSTD(1)) TTL toDateTime(ingested_at) + toIntervalDay(30);
