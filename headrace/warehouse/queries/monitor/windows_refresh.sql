-- Counts the windows of `tasks` from `window_from` up to `window_to` anew (milliseconds since 1970; the start of the first, the end of
-- the last), as known at `known_at`: writes their rows of `windows` and of `strata`, for which answers and feedback are read once.
-- out_of_scope: the label of each of `tasks` that says so.
INSERT INTO window_counts
SELECT
    task, window_from, fromUnixTimestamp64Milli(toUnixTimestamp64Milli(window_from) + {size_ms:Int64}, 'UTC') AS window_to,
    version, arm, tenant, expert, stratum, confidence, probability,
    grouping(stratum) = 1 AS whole,
    count() AS answers,
    countIf(c.truth != '' AND (c.is_known OR c.probability > 0)) AS labelled,
    countIf(c.truth != '' AND c.truth != c.expert AND (c.is_known OR c.probability > 0)) AS errors,
    countIf(c.unknown) AS unknown,
    countIf(c.fair) AS fair,
    countIf(c.fair AND c.blind != '') AS fair_labelled,
    countIf(c.fair AND c.blind != '' AND c.blind != c.expert) AS fair_errors,
    countIf(c.audited) AS audited,
    countIf(c.audited AND c.blind != '') AS audit_labelled,
    countIf(c.audited AND c.blind != '' AND c.blind != c.expert) AS audit_errors,
    countIf(c.thumb > 0) AS thumbs_up,
    countIf(c.thumb < 0) AS thumbs_down,
    countIf(c.users_thumb > 0) AS users_thumbs_up,
    countIf(c.users_thumb < 0) AS users_thumbs_down,
    countIf(c.expert != '' AND c.expert = {out_of_scope:Array(String)}[indexOf({tasks:Array(String)}, task)]) AS out_of_scope,
    quantiles(0.5, 0.95, 0.99)(c.first_token_ms) AS first_token_ms,
    quantiles(0.5, 0.95, 0.99)(c.latency_ms) AS latency_ms,
    sum(c.tokens_in) AS tokens_in,
    sum(c.tokens_out) AS tokens_out,
    sum(c.cost) AS cost,
    {known_at:DateTime64(6, 'UTC')} AS known_at
FROM window_answers(tasks = {tasks:Array(String)}, size_ms = {size_ms:Int64},
                     window_from = {window_from:Int64}, window_to = {window_to:Int64}) AS c
GROUP BY GROUPING SETS
(
    (task, window_from, version, arm),
    (task, window_from, tenant, version, arm, expert, stratum, confidence, probability)
)
-- Looking for chains of comparisons, of which there are none, takes a tenth of the time to analyse this.
SETTINGS max_execution_time = 60, optimize_and_compare_chain = 0
