-- When windows of `tasks`, and the monitor's progress with them, were written (known_at; 1970: never). One row.
-- last: the greatest; before: the greatest up to `now`, by which the warehouse's clock was not ahead yet
SELECT greatest(max(known_at), (SELECT max(known_at) FROM monitor_progress WHERE task IN {tasks:Array(String)})) AS last,
       maxIf(known_at, known_at <= {now:DateTime64(6, 'UTC')}) AS before
FROM windows
WHERE task IN {tasks:Array(String)}
