-- One row: what the live version's answers cost and how long they took in the test window, as recorded where they were asked for:
-- by a gateway, or by whoever sent the events. requests is 0 where it answered none.
SELECT
    count() AS requests,
    ifNotFinite(avg(cost), 0) * 1000 AS cost_per_1k,
    ifNotFinite(quantile(0.5)(latency_ms), 0) AS p50_ms,
    ifNotFinite(quantile(0.95)(latency_ms), 0) AS p95_ms
FROM inferences_current
WHERE task = {task:String} AND version = {version:String} AND arm != 'shadow'
  AND occurred_at >= parseDateTime64BestEffort({test_from:String}, 6, 'UTC')
