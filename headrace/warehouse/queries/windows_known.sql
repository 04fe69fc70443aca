-- What is counted already: one row a task of `tasks` that is. known_at: when its windows were last counted, by the
-- warehouse's clock; watermark: the greatest at which its accuracy was known, 1970 for none.
SELECT s.task AS task, s.known_at AS known_at, a.watermark AS watermark
FROM (SELECT task, max(strata.known_at) AS known_at FROM strata WHERE task IN {tasks:Array(String)} GROUP BY task) AS s
LEFT JOIN
    (SELECT task, max(accuracy_by.watermark) AS watermark FROM accuracy_by WHERE task IN {tasks:Array(String)} GROUP BY task)
    AS a ON s.task = a.task
