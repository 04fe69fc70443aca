-- The end of the last window that targeted draws were made from, under the cursor's name. One row; 1970 before the first.
SELECT argMax(reached, at) AS reached FROM cursors WHERE name = {cursor:String}
