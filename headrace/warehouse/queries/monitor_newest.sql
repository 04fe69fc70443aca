-- The newest event time of the stored inferences of `tasks`: one row a task that has any. Reads all of history: it is asked
-- once, where nothing was counted yet.
SELECT task, max(occurred_at) AS newest FROM inferences 
WHERE task IN {tasks:Array(String)} AND occurred_at <= now64(6) GROUP BY task
