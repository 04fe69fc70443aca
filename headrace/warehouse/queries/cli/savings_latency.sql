-- How long the answers of a task took since {since}, all arms on one path: as a gateway measured them (signed), else as the emitter said. One
-- row a version, arm and path: requests, and percentiles of the milliseconds until the first token and until the last.
SELECT version, arm, if(signed, 'gateway', 'emitter') AS path, count() AS requests,
       round(quantile(0.5)(first_token_ms), 1) AS first_token_p50_ms, round(quantile(0.95)(first_token_ms), 1) AS first_token_p95_ms,
       round(quantile(0.5)(latency_ms), 1) AS p50_ms, round(quantile(0.95)(latency_ms), 1) AS p95_ms,
       round(quantile(0.99)(latency_ms), 1) AS p99_ms
FROM inferences_current
WHERE task = {task:String} AND occurred_at >= {since:DateTime64(3, 'UTC')} AND occurred_at <= ingested_at + INTERVAL 10 MINUTE
GROUP BY version, arm, path
ORDER BY path DESC, version, arm
