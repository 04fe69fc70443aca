-- Tells one state of the audit's labels from another without reading them: one row a task of `tasks` and version. rows:
-- copies there are, merged or not; newest: when the last one came; complete: those up to the task's watermark, which
-- stands at the same place in `watermarks` (microseconds since 1970).
SELECT task, version, count() AS rows, max(ingested_at) AS newest,
       countIf(toUnixTimestamp64Micro(occurred_at) <= {watermarks:Array(Int64)}[indexOf({tasks:Array(String)}, task)]) AS complete
FROM audit_labels
WHERE task IN {tasks:Array(String)}
GROUP BY task, version
