-- Which labels are stored that are not among `known`, of `tasks`: one row a table, partition and task. The empty task, of
-- feedback that does not say its own, counts as one of them where it is named.
-- labels: as they are stored
SELECT table, partition, task, groupUniqArray(label) AS labels
FROM
(
    SELECT 'inferences' AS table, _partition_id AS partition, toString(task) AS task, toString(label) AS label
    FROM inferences WHERE task IN {tasks:Array(String)} AND label != '' AND label NOT IN {known:Array(String)}
    UNION ALL
    SELECT 'feedback', _partition_id, toString(task), toString(label)
    FROM feedback WHERE task IN {tasks:Array(String)} AND label != '' AND label NOT IN {known:Array(String)}
    UNION ALL
    SELECT 'audit_labels', _partition_id, toString(task), toString(arrayJoin([label, answered]) AS said)
    FROM audit_labels WHERE task IN {tasks:Array(String)} AND said != '' AND said NOT IN {known:Array(String)}
)
GROUP BY table, partition, task
ORDER BY table, partition, task
