-- Whether the database is new: it has no table but that of its migrations, so nothing is to be migrated. One row.
SELECT count() = 0 AS needless
FROM system.tables
WHERE database = currentDatabase() AND name != 'schema_migrations' AND engine LIKE '%MergeTree'
