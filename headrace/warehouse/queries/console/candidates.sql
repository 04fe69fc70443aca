-- What the newest job's candidates showed: one row a candidate, on the test split where it reached it, best first.
SELECT task, name, base, method, split, n, accuracy, low, high, p50_ms, p95_ms, cost_per_1k, parameters, gate, reason,
       version, at
FROM
(
    SELECT *
    FROM candidates FINAL
    WHERE (task, job_id, attempt) IN (SELECT task, job_id, attempt FROM candidates ORDER BY at DESC LIMIT 1 BY task)
    ORDER BY split = 'test' DESC, at DESC
    LIMIT 1 BY task, name
)
ORDER BY task, gate = 'passed' DESC, split = 'test' DESC, accuracy DESC, name
