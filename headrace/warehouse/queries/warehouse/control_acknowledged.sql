-- The newest generation that a gateway acknowledged in the last week: one row a task.
SELECT task, max(generation) AS generation FROM replicas GROUP BY task
