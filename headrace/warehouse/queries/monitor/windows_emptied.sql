-- Writes down that nothing is in what the windows of `tasks` that begin at `starts` (milliseconds since 1970) had before and what their
-- count at `known_at` did not write: an answer that was corrected left its version, or its window. Their known_at is a
-- tick earlier, so that what the count did write wins, also where this replica does not see it yet.
-- A window of whose answers some are kept no longer stays as it was: the ledger has the hours of those.
INSERT INTO window_counts (task, window_from, window_to, version, arm, tenant, expert, stratum, confidence, probability, whole, known_at)
WITH
    {known_at:DateTime64(6, 'UTC')} - INTERVAL 1 MICROSECOND AS before,
    emptied AS
    (
        SELECT fromUnixTimestamp64Milli(arrayJoin({starts:Array(Int64)}), 'UTC') AS start
        WHERE start NOT IN
            (SELECT fromUnixTimestamp64Milli(intDiv(toInt64(toUnixTimestamp(hour)) * 1000, {size_ms:Int64}) * {size_ms:Int64}, 'UTC')
             FROM ledger WHERE what = 'expired' AND kind = 'inferences')
    )
SELECT task, window_from, window_to, version, arm, '', '', '', '', 0, true, before
FROM windows FINAL
WHERE task IN {tasks:Array(String)} AND window_from IN (SELECT start FROM emptied)
  AND known_at < {known_at:DateTime64(6, 'UTC')} AND requests > 0
UNION ALL
SELECT task, window_from, window_from, version, arm, tenant, expert, stratum, confidence, probability, false, before
FROM strata FINAL
WHERE task IN {tasks:Array(String)} AND window_from IN (SELECT start FROM emptied)
  AND known_at < {known_at:DateTime64(6, 'UTC')} AND answers > 0
