-- Tells one state of the control messages, and of what was drawn, from another: how many rows there are and when the last
-- came, by table. One row.
SELECT
    (SELECT (count(), max(ingested_at)) FROM promotions) AS promotions,
    (SELECT (count(), max(ingested_at)) FROM triggers) AS triggers,
    (SELECT (count(), max(ingested_at)) FROM jobs) AS jobs,
    (SELECT (count(), max(ingested_at)) FROM rollouts) AS rollouts,
    (SELECT (count(), max(ingested_at)) FROM audit_draws) AS draws
