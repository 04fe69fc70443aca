-- A look asks which labels were copied since the last one, and reads those of the newest answers.
ALTER TABLE audit_labels ADD INDEX IF NOT EXISTS ingested_at_range ingested_at TYPE minmax GRANULARITY 1;
ALTER TABLE audit_labels MATERIALIZE INDEX ingested_at_range;
ALTER TABLE audit_labels ADD INDEX IF NOT EXISTS occurred_at_range occurred_at TYPE minmax GRANULARITY 1;
ALTER TABLE audit_labels MATERIALIZE INDEX occurred_at_range;
