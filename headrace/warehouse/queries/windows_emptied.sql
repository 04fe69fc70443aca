-- Writes down that nothing is in what windows of `tasks` from `window_from` up to `window_to` had before and what their count at
-- `known_at` did not write: an answer that was corrected left its version, or its window.
INSERT INTO window_counts (task, window_from, window_to, version, arm, tenant, expert, stratum, confidence, probability, whole, known_at)
SELECT task, window_from, window_to, version, arm, '', '', '', '', 0, true, {known_at:DateTime64(6, 'UTC')}
FROM windows FINAL
WHERE task IN {tasks:Array(String)}
  AND window_from >= fromUnixTimestamp64Milli({window_from:Int64}, 'UTC') AND window_from < fromUnixTimestamp64Milli({window_to:Int64}, 'UTC')
  AND known_at < {known_at:DateTime64(6, 'UTC')} AND requests > 0
UNION ALL
SELECT task, window_from, window_from, version, arm, tenant, expert, stratum, confidence, probability, false,
       {known_at:DateTime64(6, 'UTC')}
FROM strata FINAL
WHERE task IN {tasks:Array(String)}
  AND window_from >= fromUnixTimestamp64Milli({window_from:Int64}, 'UTC') AND window_from < fromUnixTimestamp64Milli({window_to:Int64}, 'UTC')
  AND known_at < {known_at:DateTime64(6, 'UTC')} AND answers > 0
