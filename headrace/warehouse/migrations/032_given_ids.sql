-- Events whose emitter gave them an id of another kind than a UUIDv7 keep it beside the one that stands for it.
ALTER TABLE inferences
    ADD COLUMN IF NOT EXISTS given_id String AFTER extra,
    ADD COLUMN IF NOT EXISTS given_parent_id String AFTER given_id,
    ADD INDEX IF NOT EXISTS given_bloom given_id TYPE bloom_filter(0.01) GRANULARITY 1 AFTER response_bloom;
ALTER TABLE feedback
    ADD COLUMN IF NOT EXISTS given_id String AFTER extra,
    ADD COLUMN IF NOT EXISTS given_inference_id String AFTER given_id;
