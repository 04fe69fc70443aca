-- Up to which arrival (ingested_at) `audit_labels` is up to date, and the warehouse's clock. One row; 1970 before the first.
SELECT least(argMax(reached, at), now) AS reached, now64(3, 'UTC') AS now FROM cursors WHERE name = 'audit_labels'
