-- The newest event time of a task's stored inferences, looked for from `floor` on (the last one found). One row; empty
-- where nothing newer is stored.
SELECT max(occurred_at) AS newest
FROM inferences
WHERE task = {task:String} AND occurred_at >= {floor:DateTime64(6, 'UTC')}
HAVING count() > 0
