-- Writes down the labels of `tasks`, at the same place of `labels`. Of one task the row that is written last counts, however the
-- clock was set meanwhile.
INSERT INTO task_labels (task, labels, settled, known_at)
SELECT task, listed, {settled:Bool}, greatest(now64(6, 'UTC'), last + INTERVAL 1 MICROSECOND)
FROM
    (SELECT arrayJoin(arrayZip({tasks:Array(String)}, {labels:Array(Array(String))})) AS one, one.1 AS task, one.2 AS listed) AS plan
LEFT JOIN (SELECT toString(task) AS task, max(known_at) AS last FROM task_labels GROUP BY task) AS written USING (task)
