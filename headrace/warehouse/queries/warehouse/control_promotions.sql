-- A task's newest promotions, newest first, as the columns of headrace.contract.control.Promotion; extra holds what is not known.
SELECT task, generation, step, live, canary, canary_share, shadow, previous, since, at, reason, request_id, extra
FROM promotions FINAL
WHERE task = {task:String}
ORDER BY generation DESC
LIMIT 100
