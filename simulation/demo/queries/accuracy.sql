-- Share of answers that match the simulation's truth, by the version that answered and the era of the question.
SELECT version, era, countIf(answered = truth) AS correct, count() AS n,
       avg(latency_ms) AS mean_ms, quantile(0.5)(latency_ms) AS p50_ms, quantile(0.95)(latency_ms) AS p95_ms
FROM simulation_requests FINAL
WHERE ok AND arm = 'live'
GROUP BY version, era
ORDER BY era, version
