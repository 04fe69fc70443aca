-- Where a row lies: in the month of its id's time, or apart where that is far from its insert. The tables are partitioned by it
-- after the migrations (headrace/warehouse/engines.py).
ALTER TABLE inferences ADD COLUMN IF NOT EXISTS place UInt32
    DEFAULT multiIf(UUIDv7ToDateTime(inference_id, 'UTC') < ingested_at - INTERVAL 1000 DAY, 0, UUIDv7ToDateTime(inference_id, 'UTC') > ingested_at + INTERVAL 10 MINUTE, 999999, toYYYYMM(UUIDv7ToDateTime(inference_id, 'UTC'))) AFTER precedence;
ALTER TABLE feedback ADD COLUMN IF NOT EXISTS place UInt32
    DEFAULT multiIf(UUIDv7ToDateTime(feedback_id, 'UTC') < ingested_at - INTERVAL 1000 DAY, 0, UUIDv7ToDateTime(feedback_id, 'UTC') > ingested_at + INTERVAL 10 MINUTE, 999999, toYYYYMM(UUIDv7ToDateTime(feedback_id, 'UTC'))) AFTER ingested_at;
ALTER TABLE audit_labels ADD COLUMN IF NOT EXISTS place UInt32
    DEFAULT multiIf(UUIDv7ToDateTime(inference_id, 'UTC') < ingested_at - INTERVAL 1000 DAY, 0, UUIDv7ToDateTime(inference_id, 'UTC') > ingested_at + INTERVAL 10 MINUTE, 999999, toYYYYMM(UUIDv7ToDateTime(inference_id, 'UTC'))) AFTER ingested_at;
