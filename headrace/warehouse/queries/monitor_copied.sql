-- The copies that were made of the audit's labels since `changed_since`, by whichever worker: one row a task of `tasks`, version
-- and copy. first_day: the oldest of the days that its answers are of (days since 1970).
SELECT task, version, ingested_at, count() AS labels,
       toUInt32(min(intDiv(toUnixTimestamp64Milli(occurred_at), 86400000))) AS first_day
FROM audit_labels
WHERE task IN {tasks:Array(String)} AND ingested_at >= {changed_since:DateTime64(3, 'UTC')}
GROUP BY task, version, ingested_at
