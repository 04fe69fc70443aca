-- The newest rows of `accuracy_by` of closed spans, by their ends (milliseconds since 1970): one row a task, end and group.
SELECT task, toUnixTimestamp64Milli(watermark) AS until, `by`, name, answers, drawn, labelled, errors, known, known_errors,
       unknown, thumbs_up, thumbs_down
FROM accuracy_by
WHERE task IN {tasks:Array(String)} AND closed
  AND watermark IN (arrayMap(at -> fromUnixTimestamp64Milli(at, 'UTC'), {untils:Array(Int64)}))
ORDER BY known_at DESC
LIMIT 1 BY task, until, `by`, name
