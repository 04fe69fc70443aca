-- When a task's windows were last counted, by the warehouse's clock. One row; 1970 where they never were.
SELECT max(known_at) AS known_at FROM strata WHERE task = {task:String}
