-- Mean cost of a thousand answers and the latency that the gateway measured, by version, live answers only.
SELECT version, count() AS n, avg(cost) * 1000 AS cost_per_1k, quantile(0.5)(first_token_ms) AS first_token_p50_ms,
       quantile(0.5)(latency_ms) AS p50_ms, quantile(0.95)(latency_ms) AS p95_ms
FROM inferences FINAL
WHERE task = {task:String} AND arm = 'live'
GROUP BY version
ORDER BY version
