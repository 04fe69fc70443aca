-- Writes `strata` anew for the windows of `tasks` from `window_from` up to `window_to` (milliseconds since 1970; the start of the
-- first, the end of the last): each answer that users saw is in one row, as known at `known_at`.
INSERT INTO strata
SELECT
    task, window_from, tenant, version, arm, expert, stratum, confidence, probability,
    count() AS answers,
    countIf(truth != '' AND (is_known OR probability > 0)) AS labelled,
    countIf(truth != '' AND truth != expert AND (is_known OR probability > 0)) AS errors,
    countIf(unknown) AS unknown,
    countIf(fair) AS audited,
    countIf(fair AND blind != '') AS audit_labelled,
    countIf(fair AND blind != '' AND blind != expert) AS audit_errors,
    countIf(thumb > 0) AS thumbs_up,
    countIf(thumb < 0) AS thumbs_down,
    {known_at:DateTime64(6, 'UTC')} AS known_at
FROM answers_counted(tasks = {tasks:Array(String)}, size_ms = {size_ms:Int64},
                     window_from = {window_from:Int64}, window_to = {window_to:Int64})
GROUP BY task, window_from, tenant, version, arm, expert, stratum, confidence, probability
SETTINGS max_execution_time = 60
