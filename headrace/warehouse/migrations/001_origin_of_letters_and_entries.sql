-- Who sent a dead letter, the revision it bore and the hour it belongs to, read from its original once; whose events
-- the ledger counts, and of which hour.
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
ALTER TABLE ledger ADD COLUMN IF NOT EXISTS emitter String DEFAULT '';
ALTER TABLE ledger ADD COLUMN IF NOT EXISTS hour DateTime('UTC') DEFAULT toDateTime(0, 'UTC');
ALTER TABLE ledger ADD COLUMN IF NOT EXISTS itemised Bool DEFAULT false;
ALTER TABLE ledger ADD COLUMN IF NOT EXISTS ingested_at DateTime64(3, 'UTC') DEFAULT now64(3);
