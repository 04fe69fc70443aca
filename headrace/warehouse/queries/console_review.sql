-- What waits for experts: one row a task and kind. audit: drawn, to be labelled blind; review: a judge blamed routing.
SELECT task, kind, count() AS waiting, min(occurred_at) AS oldest
FROM review_queue
GROUP BY task, kind
ORDER BY task, kind
