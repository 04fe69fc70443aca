-- The present generation of each task of `tasks`, as the columns of headrace.contract.control.Promotion. No row before its first promotion.
SELECT task, generation, step, live, canary, canary_share, shadow, previous, since, at, reason, request_id, extra
FROM promotions FINAL
WHERE task IN {tasks:Array(String)}
ORDER BY generation DESC
LIMIT 1 BY task
