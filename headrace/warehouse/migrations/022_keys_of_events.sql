-- Which API key brought an event: curation bounds how much one key may teach.
ALTER TABLE inferences ADD COLUMN IF NOT EXISTS key_id LowCardinality(String) COMMENT 'the API key that brought it, as the gateway says; empty where none did' AFTER emitter;
ALTER TABLE feedback ADD COLUMN IF NOT EXISTS key_id LowCardinality(String) COMMENT 'the API key that brought it, as the gateway says; empty where none did' AFTER emitter;
