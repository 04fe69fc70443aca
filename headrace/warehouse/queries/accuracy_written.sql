-- The newest rows of `accuracy_by` at some watermarks (milliseconds since 1970), closed ones alone: one row a watermark and group.
SELECT toUnixTimestamp64Milli(watermark) AS until, `by`, name, answers, drawn, labelled, errors, known, known_errors,
       thumbs_up, thumbs_down
FROM accuracy_by
WHERE task = {task:String} AND watermark IN (arrayMap(at -> fromUnixTimestamp64Milli(at, 'UTC'), {untils:Array(Int64)})) AND closed
ORDER BY known_at DESC
LIMIT 1 BY until, `by`, name
