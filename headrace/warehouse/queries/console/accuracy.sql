-- The accuracy chart: one row a watermark, the last reading there of what users saw (version '*'), oldest first.
-- At most about {points} rows a task, evenly thinned from the newest backwards, so the newest is always there.
SELECT task, watermark, n, value, low, high
FROM
(
    SELECT task, watermark, n, value, low, high,
           row_number() OVER (PARTITION BY task ORDER BY watermark DESC) - 1 AS newer,
           count() OVER (PARTITION BY task) AS readings
    FROM (SELECT * FROM accuracy FINAL WHERE version = '*' AND n > 0 ORDER BY known_at DESC LIMIT 1 BY task, watermark)
)
WHERE newer % greatest(1, intDiv(readings, {points:UInt32})) = 0
ORDER BY task, watermark
