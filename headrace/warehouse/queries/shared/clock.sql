-- ClickHouse's own clock, which `ingested_at` is written by. One row.
SELECT now64(6, 'UTC') AS now
