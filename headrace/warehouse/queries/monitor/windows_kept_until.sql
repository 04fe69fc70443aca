-- Up to when a count of windows of `tasks` has to look which ones stay as they are (monitor/windows_counted.sql): the end of the newest
-- hour whose answers expired, or of the newest window of another size than `size_ms`, in milliseconds since 1970 (0: of none). An hour
-- that had not begun when its answers expired is left out: their emitter's clock was years ahead. One row.
SELECT greatest(
    (SELECT max(if(hour < at, toInt64(toUnixTimestamp(hour)) + 3600, 0)) * 1000 FROM ledger WHERE what = 'expired' AND kind = 'inferences'),
    (SELECT max(toUnixTimestamp64Milli(window_to)) FROM windows
     WHERE task IN {tasks:Array(String)} AND requests > 0
       AND toUnixTimestamp64Milli(window_to) - toUnixTimestamp64Milli(window_from) != {size_ms:Int64})) AS until
