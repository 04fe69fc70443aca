-- An original that is too large for a letter stays in its own topic; the letter describes it.
ALTER TABLE dead_letters ADD COLUMN IF NOT EXISTS excerpt String CODEC(ZSTD(1)) TTL toDateTime(ingested_at) + toIntervalDay(30)
    AFTER original;
-- Equal blocks were recognised by where they came from, which a topic that is made again repeats with other events. An
-- event is one row by the sort key, however often it is inserted.
ALTER TABLE inferences MODIFY SETTING non_replicated_deduplication_window = 0;
ALTER TABLE feedback MODIFY SETTING non_replicated_deduplication_window = 0;
