-- The newest trigger of a task, by event time. One row; none where there never was one.
SELECT trigger_id, decided_at FROM triggers FINAL WHERE task = {task:String} ORDER BY decided_at DESC, trigger_id DESC LIMIT 1
