-- Feedback finds its answer by a text that its emitter gave it, too, and by when the answer began.
ALTER TABLE feedback_waiting
    ADD COLUMN IF NOT EXISTS given_inference_id String AFTER response_id,
    ADD COLUMN IF NOT EXISTS received_at DateTime64(3, 'UTC') DEFAULT ingested_at AFTER given_inference_id,
    ADD COLUMN IF NOT EXISTS closeness Int64 DEFAULT toUnixTimestamp64Micro(answered_at) AFTER resolved_by;
