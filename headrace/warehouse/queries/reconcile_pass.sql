-- Since when rows count as changed, and ClickHouse's own clock: one row.
SELECT since, now64(3, 'UTC') AS now FROM balance_tail
