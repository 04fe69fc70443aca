-- What was said of old answers lies anywhere after them: the hours of the answers that a block of feedback is about tell whether
-- a window needs it.
ALTER TABLE feedback ADD INDEX IF NOT EXISTS answer_hours intDiv(toUInt128(inference_id), 4352132950612665028942233600000) TYPE set(0) GRANULARITY 1;
ALTER TABLE feedback MATERIALIZE INDEX answer_hours;
