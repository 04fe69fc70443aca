-- The present generation of a task, as the columns of headrace.control.Promotion. No row before the first promotion.
SELECT task, generation, step, live, canary, canary_share, shadow, previous, since, at, reason, request_id, extra
FROM promotions FINAL
WHERE task = {task:String}
ORDER BY generation DESC
LIMIT 1
