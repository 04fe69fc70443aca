-- The simulation's truth beside it: share of right answers in each ten seconds.
SELECT toStartOfInterval(asked_at, INTERVAL 10 SECOND) AS at, countIf(answered = truth) / count() AS value, count() AS n
FROM simulation_requests FINAL
WHERE ok
GROUP BY at
HAVING n >= 20
ORDER BY at
