-- The copies that were made of the audit's labels since `changed_since`, by whichever worker: one row a task of `tasks`, version
-- and copy. days: of its answers, days since 1970.
SELECT task, version, ingested_at, count() AS labels,
       arraySort(groupUniqArray(toUInt32(intDiv(toUnixTimestamp64Milli(occurred_at), 86400000)))) AS days
FROM audit_labels
WHERE task IN {tasks:Array(String)} AND ingested_at >= {changed_since:DateTime64(3, 'UTC')}
GROUP BY task, version, ingested_at
