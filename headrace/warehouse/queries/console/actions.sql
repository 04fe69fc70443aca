-- The newest of who did what: one row an action, newest first. What belongs to no task has an empty one.
SELECT at, by, via, origin, kind, task, subject, detail
FROM actions FINAL
ORDER BY at DESC, toUInt128(action_id) DESC
LIMIT {rows:UInt32} BY task
