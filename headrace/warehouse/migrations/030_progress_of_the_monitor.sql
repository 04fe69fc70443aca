-- The monitor goes on from what it has counted of each task. What the version before has counted is what came before the last
-- count of the task's newest window: where its counts stood still, that window was not counted either.
INSERT INTO monitor_progress (task, watermark, newest, arrived_at, counted, known_at)
SELECT s.task, a.watermark, a.watermark, s.counted, s.counted, s.counted
FROM (SELECT task, argMax(known_at, (window_from, known_at)) AS counted FROM strata GROUP BY task) AS s
LEFT JOIN (SELECT task, max(accuracy_by.watermark) AS watermark FROM accuracy_by GROUP BY task) AS a ON s.task = a.task;
