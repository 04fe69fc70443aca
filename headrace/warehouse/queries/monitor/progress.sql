-- How far the monitor is with each task of `tasks` that was ever counted: one row a task, columns as in `monitor_progress`.
SELECT task, watermark, newest, arrived_at, counted FROM monitor_progress FINAL WHERE task IN {tasks:Array(String)}
