-- One row: what the live version cost and how long it took in the test window. requests is 0 where it answered none.
SELECT
    count() AS requests,
    count() * 86400 / greatest(dateDiff('second', min(occurred_at), max(occurred_at)), 3600) AS requests_per_day,
    ifNotFinite(avg(cost), 0) * 1000 AS cost_per_1k,
    ifNotFinite(quantile(0.5)(latency_ms), 0) AS p50_ms,
    ifNotFinite(quantile(0.95)(latency_ms), 0) AS p95_ms
FROM inferences_current
WHERE task = {task:String} AND version = {version:String} AND arm != 'shadow'
  AND occurred_at >= parseDateTime64BestEffort({test_from:String}, 6, 'UTC')
