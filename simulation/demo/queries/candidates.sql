-- What each candidate of a job showed on each split, last attempt.
SELECT name, base, method, parameters, split, n, correct, accuracy, low, high, p50_ms, p95_ms, cost_per_1k, seconds, gate, reason
FROM candidates FINAL
WHERE job_id = {job:UUID} AND attempt = (SELECT max(attempt) FROM candidates WHERE job_id = {job:UUID})
ORDER BY split, name
