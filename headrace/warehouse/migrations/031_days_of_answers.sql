-- What was said of old answers lies anywhere after them: the days of the answers that a block of feedback is about tell whether a
-- window, or a view of some days, needs it.
ALTER TABLE feedback ADD INDEX IF NOT EXISTS answer_days toDate(UUIDv7ToDateTime(inference_id, 'UTC')) TYPE set(0) GRANULARITY 1;
ALTER TABLE feedback MATERIALIZE INDEX answer_days;
ALTER TABLE inferences ADD INDEX IF NOT EXISTS answer_days toDate(UUIDv7ToDateTime(inference_id, 'UTC')) TYPE minmax GRANULARITY 1;
ALTER TABLE inferences MATERIALIZE INDEX answer_days;
