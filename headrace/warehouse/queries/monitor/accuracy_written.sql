-- The newest rows of `accuracy_by` of closed spans, by their ends: one row a task, end and group.
SELECT task, watermark AS until, `by`, name, answers, drawn, labelled, errors, known, known_errors,
       unknown, thumbs_up, thumbs_down
FROM accuracy_by
WHERE task IN {tasks:Array(String)} AND closed
  AND watermark IN {ends:Array(DateTime64(3, 'UTC'))}
ORDER BY known_at DESC
LIMIT 1 BY task, until, `by`, name
