-- Since when rows count as changed (`since`); since when what expired may not be in the ledger and off its table yet
-- (`left`: ten minutes before the last pass that finished both; NULL before the first); and ClickHouse's own clock. One row.
SELECT since, now64(3, 'UTC') AS now,
       (SELECT if(count() = 0, NULL, least(argMax(reached, at), now64(3, 'UTC')) - INTERVAL 10 MINUTE) FROM cursors WHERE name = 'expired') AS left
FROM balance_tail
