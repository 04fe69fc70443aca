-- The migrations that this database has seen: one row each, with the digest of the file as it was then.
SELECT name, digest FROM schema_migrations FINAL ORDER BY name
