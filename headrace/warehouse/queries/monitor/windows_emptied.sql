-- Writes down that nothing is in what the windows of `tasks` that begin at `starts` (milliseconds since 1970) had before and what their
-- count at `known_at` did not write: an answer that was corrected left its version, or its window; or the window has another size
-- than the plan's, and those of the plan's size are counted in its place. Their known_at is a tick earlier, so that what the count did
-- write wins, also where this replica does not see it yet.
INSERT INTO window_counts (task, window_from, window_to, version, arm, tenant, expert, stratum, confidence, probability, whole, known_at)
WITH
    {known_at:DateTime64(6, 'UTC')} - INTERVAL 1 MICROSECOND AS before,
    emptied AS (SELECT fromUnixTimestamp64Milli(arrayJoin({starts:Array(Int64)}), 'UTC') AS start)
SELECT task, window_from, window_to, version, arm, '', '', '', '', 0, true, before
FROM windows FINAL
WHERE task IN {tasks:Array(String)} AND window_from IN (SELECT start FROM emptied)
  AND known_at < {known_at:DateTime64(6, 'UTC')} AND requests > 0
UNION ALL
SELECT task, window_from, window_from, version, arm, tenant, expert, stratum, confidence, probability, false, before
FROM strata FINAL
WHERE task IN {tasks:Array(String)} AND window_from IN (SELECT start FROM emptied)
  AND known_at < {known_at:DateTime64(6, 'UTC')} AND answers > 0
