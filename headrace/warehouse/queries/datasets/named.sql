-- The data sets that a person may mean by `called`: a digest or the beginning of one, a version that was trained on it, a task (its
-- newest one), or `latest`. One row a data set, newest first; `how` says what the name is.
WITH made AS (SELECT dataset, any(task) AS of_task, max(at) AS newest FROM datasets FINAL GROUP BY dataset)
SELECT dataset, of_task AS task, newest AS at,
       multiIf({called:String} = 'latest', 'latest', startsWith(dataset, lower({called:String})), 'digest',
               {called:String} = of_task, 'task', 'version') AS how
FROM made
WHERE {called:String} IN ('latest', of_task)
   OR length({called:String}) >= 6 AND startsWith(dataset, lower({called:String}))
   OR dataset IN (SELECT dataset FROM candidates FINAL WHERE version = {called:String} AND gate = 'passed')
ORDER BY at DESC, dataset
LIMIT 20
