-- The server's clock and how far the resolver has come before, 1970 where it never ran. One row.
SELECT now64(3, 'UTC') AS now, (SELECT least(argMax(reached, at), now64(3, 'UTC')) FROM cursors WHERE name = 'resolver') AS reached
