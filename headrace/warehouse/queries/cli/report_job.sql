-- The task and the number of a job, by which its report is found; no row where there is no such job.
SELECT task, number
FROM jobs FINAL
WHERE job_id = {job:UUID}
LIMIT 1
