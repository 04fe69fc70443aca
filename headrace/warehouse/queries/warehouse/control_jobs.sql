-- Whose each retraining job is: one row a job that was ever copied.
SELECT DISTINCT job_id, toString(task) AS task FROM jobs
