-- What waits for experts: one row a task and kind. audit: drawn, to be labelled blind; review: a judge blamed routing;
-- unknown: labelled with what is none of the task's labels, to be said again (`labels_unknown`).
SELECT task, kind, count() AS waiting, min(at) AS oldest
FROM
(
    SELECT task, kind, occurred_at AS at FROM review_queue
    UNION ALL
    SELECT task, 'unknown' AS kind, labelled_at AS at FROM audit_labels FINAL WHERE unknown AND label != ''
)
GROUP BY task, kind
ORDER BY task, kind
