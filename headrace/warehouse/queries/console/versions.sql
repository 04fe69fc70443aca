-- Every version that answered users: one row a version, in order of its first window. Latencies are means of the
-- windows' percentiles weighted by requests; accuracy is its newest reading, n = 0 where it has none. recorded_per_1k: US dollars of tokens
-- or engine seconds, as its answers were recorded. candidate: what it was in the plan, empty where no job made it.
-- requests_per_day: that it answered from its first window to its last, an hour at least.
SELECT w.task AS task, w.version AS version, w.answered AS requests, w.first_from AS first_from, w.last_to AS last_to,
       w.recorded_per_1k AS recorded_per_1k, c.candidate AS candidate,
       w.requests_per_day AS requests_per_day, w.first_token_p95_ms AS first_token_p95_ms, w.latency_p95_ms AS latency_p95_ms,
       a.n AS n, a.value AS value, a.low AS low, a.high AS high
FROM
(
    SELECT task, version, sum(requests) AS answered, min(window_from) AS first_from, max(window_to) AS last_to,
           1000 * sum(cost) / sum(requests) AS recorded_per_1k,
           86400 * sum(requests) / greatest(dateDiff('second', first_from, last_to), 3600) AS requests_per_day,
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
    ORDER BY known_at DESC, watermark DESC
    LIMIT 1 BY task, version
) AS a ON w.task = a.task AND w.version = a.version
LEFT JOIN
(
    SELECT task, version, any(toString(name)) AS candidate FROM candidates FINAL WHERE gate = 'passed' AND version != '' GROUP BY task, version
) AS c ON w.task = c.task AND w.version = c.version
ORDER BY task, first_from, version
