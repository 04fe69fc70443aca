-- A data set's digest is made of digests of its rows, so that it can be checked after a row was emptied by an erasure.
ALTER TABLE datasets ADD COLUMN IF NOT EXISTS format UInt8 DEFAULT 1;
ALTER TABLE dataset_rows
    ADD COLUMN IF NOT EXISTS rank UInt8,
    ADD COLUMN IF NOT EXISTS answered LowCardinality(String),
    ADD COLUMN IF NOT EXISTS version LowCardinality(String),
    ADD COLUMN IF NOT EXISTS cluster String,
    ADD COLUMN IF NOT EXISTS text_sha256 String,
    ADD COLUMN IF NOT EXISTS row_digest String,
    ADD COLUMN IF NOT EXISTS erased_at DateTime64(3, 'UTC'),
    ADD COLUMN IF NOT EXISTS erasure String;
