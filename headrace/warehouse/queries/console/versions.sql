-- Every version that answered users: one row a version, in order of its first window. Latencies are means of the
-- windows' percentiles weighted by requests; accuracy is its newest reading, n = 0 where it has none.
SELECT w.task AS task, w.version AS version, w.answered AS requests, w.first_from AS first_from, w.last_to AS last_to,
       w.cost_per_1k AS cost_per_1k, w.first_token_p95_ms AS first_token_p95_ms, w.latency_p95_ms AS latency_p95_ms,
       a.n AS n, a.value AS value, a.low AS low, a.high AS high
FROM
(
    SELECT task, version, sum(requests) AS answered, min(window_from) AS first_from, max(window_to) AS last_to,
           1000 * sum(cost) / sum(requests) AS cost_per_1k,
           avgWeighted(windows.first_token_p95_ms, requests) AS first_token_p95_ms,
           avgWeighted(windows.latency_p95_ms, requests) AS latency_p95_ms
    FROM windows FINAL
    WHERE arm IN ('live', 'canary') AND requests > 0
    GROUP BY task, version
) AS w
LEFT JOIN
(
    SELECT task, version, n, value, low, high
    FROM accuracy FINAL
    ORDER BY watermark DESC, known_at DESC
    LIMIT 1 BY task, version
) AS a ON w.task = a.task AND w.version = a.version
ORDER BY task, first_from, version
