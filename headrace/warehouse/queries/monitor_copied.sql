-- The copies that were made of the audit's labels since `changed_since`, by whichever worker: one row a task of `tasks`, version
-- and copy. oldest: of its answers.
SELECT task, version, ingested_at, count() AS labels, min(occurred_at) AS oldest
FROM audit_labels
WHERE task IN {tasks:Array(String)} AND ingested_at >= {changed_since:DateTime64(3, 'UTC')}
GROUP BY task, version, ingested_at
