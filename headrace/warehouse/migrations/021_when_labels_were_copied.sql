-- A look asks which labels were copied since the last one.
ALTER TABLE audit_labels ADD INDEX IF NOT EXISTS ingested_at_range ingested_at TYPE minmax GRANULARITY 1;
ALTER TABLE audit_labels MATERIALIZE INDEX ingested_at_range;
