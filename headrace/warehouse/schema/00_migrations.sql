-- Which files of `migrations/` this database has seen (see headrace/warehouse/migration.py).
CREATE TABLE IF NOT EXISTS schema_migrations
(
    name       String COMMENT 'the file, without .sql: its number gives the order',
    digest     String COMMENT 'SHA-256 of its statements, comments and blanks left out, hexadecimal',
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when the last of its statements had run'
)
ENGINE = ReplacingMergeTree(applied_at)
ORDER BY name
COMMENT 'Migrations that this database has seen, one row each';
