-- From when on what happened is told (1970: nobody was ever told anything), and ClickHouse's own clock. One row.
SELECT least(argMax(reached, at), now) AS reached, now64(3, 'UTC') AS now FROM cursors WHERE name = 'alert'
