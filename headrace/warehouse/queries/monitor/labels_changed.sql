-- Windows of `tasks` with audit labels that monitor/labels_judge.sql will copy once more: one row a task that has any.
-- starts: of its windows, oldest first, as milliseconds since 1970
SELECT task, arraySort(groupUniqArray(intDiv(toUnixTimestamp64Milli(occurred_at), {size_ms:Int64}) * {size_ms:Int64})) AS starts
FROM labels_judged
WHERE task IN {tasks:Array(String)}
GROUP BY task
