-- Of two rows of one answer the greater (revision, occurred_at) counts. The table's engine gets to know it after the
-- migrations (headrace/warehouse/engines.py).
ALTER TABLE inferences ADD COLUMN IF NOT EXISTS precedence UInt128
    MATERIALIZED bitOr(bitShiftLeft(toUInt128(revision), 64), toUInt128(greatest(0, toUnixTimestamp64Micro(occurred_at)))) AFTER ingested_at;
