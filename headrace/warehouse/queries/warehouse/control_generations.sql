-- The newest generation of each task's promotion that was copied: one row a task that ever had one.
SELECT task, max(generation) AS generation FROM promotions GROUP BY task
