-- Offsets belong to one topic: of one that was made again under the same name they mean other records.
ALTER TABLE offset_gaps ADD COLUMN IF NOT EXISTS topic_id String AFTER partition,
    MODIFY ORDER BY (topic, partition, first, topic_id);
ALTER TABLE offset_proofs ADD COLUMN IF NOT EXISTS topic_id String AFTER partition;
ALTER TABLE offset_proofs ADD COLUMN IF NOT EXISTS since DateTime64(3, 'UTC') AFTER `end`;
