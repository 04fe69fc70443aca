-- Feedback about an hour's answers is found by its hour.
ALTER TABLE feedback ADD INDEX IF NOT EXISTS answer_hours toStartOfHour(UUIDv7ToDateTime(inference_id, 'UTC')) TYPE set(0) GRANULARITY 1;
ALTER TABLE feedback MATERIALIZE INDEX answer_hours;
