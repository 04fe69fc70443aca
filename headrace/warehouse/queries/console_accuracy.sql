-- The accuracy chart: one row a reading of what users saw (version '*'), as known then, oldest first.
-- At most about {points} rows a task, evenly thinned from the newest backwards, so the newest is always there.
SELECT task, watermark, n, value, low, high
FROM
(
    SELECT task, watermark, n, value, low, high,
           row_number() OVER (PARTITION BY task ORDER BY watermark DESC) - 1 AS newer,
           count() OVER (PARTITION BY task) AS readings
    FROM accuracy FINAL
    WHERE version = '*' AND n > 0
)
WHERE newer % greatest(1, intDiv(readings, {points:UInt32})) = 0
ORDER BY task, watermark
