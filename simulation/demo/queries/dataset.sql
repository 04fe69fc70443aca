-- The data set of a job: the funnel from feedback to rows, every exclusion counted. Last attempt.
SELECT dataset, train, validation, test, forget, exclusions, funnel
FROM datasets FINAL
WHERE job_id = {job:UUID}
ORDER BY attempt DESC
LIMIT 1
