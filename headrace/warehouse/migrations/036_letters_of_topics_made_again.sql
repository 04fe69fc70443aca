-- Of a topic that was made again, a letter stands at a place that another had before: its bytes tell them apart.
-- What was written before has 0, the letters and their replays alike.
ALTER TABLE dead_letters ADD COLUMN IF NOT EXISTS digest UInt64 AFTER event_id,
    MODIFY ORDER BY (topic, partition, offset, record_index, digest);
ALTER TABLE replays ADD COLUMN IF NOT EXISTS digest UInt64 AFTER record_index,
    MODIFY ORDER BY (topic, partition, offset, record_index, digest);
