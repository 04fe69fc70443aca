-- Tells one state of the control messages, and of what was drawn, from another: how many rows there are and when the last
-- came. One row a table.
SELECT 'promotions' AS name, count() AS n, max(ingested_at) AS last FROM promotions
UNION ALL
SELECT 'triggers', count(), max(ingested_at) FROM triggers
UNION ALL
SELECT 'jobs', count(), max(ingested_at) FROM jobs
UNION ALL
SELECT 'rollouts', count(), max(ingested_at) FROM rollouts
UNION ALL
SELECT 'audit_draws', count(), max(ingested_at) FROM audit_draws
