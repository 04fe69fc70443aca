-- What a thousand answers of each version cost as they were recorded (tokens of an upstream, engine seconds of a machine), and how long
-- they took as the gateway measured all of them: until the first token and until the last. Answers that users saw.
SELECT version, count() AS n, avg(cost) * 1000 AS recorded_per_1k,
       quantile(0.5)(first_token_ms) AS first_token_p50_ms, quantile(0.95)(first_token_ms) AS first_token_p95_ms,
       quantile(0.5)(latency_ms) AS p50_ms, quantile(0.95)(latency_ms) AS p95_ms
FROM inferences FINAL
WHERE task = {task:String} AND arm IN ('live', 'canary')
GROUP BY version
ORDER BY version
