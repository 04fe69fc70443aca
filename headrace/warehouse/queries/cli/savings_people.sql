-- What experts and judges said about a task since {since}. One row: reviews and blind labels by experts, verdicts by judges, how many of these
-- tell their tokens, and the tokens. Feedback that names no task is not counted.
SELECT countIf(source IN ('audit', 'reviewer')) AS reviews, countIf(source = 'judge') AS verdicts,
       countIf(source = 'judge' AND spent_in > 0) AS told, sumIf(spent_in, source = 'judge') AS tokens_in,
       sumIf(spent_out, source = 'judge') AS tokens_out
FROM
(
    SELECT source, JSONExtractUInt(extra, 'tokens_in') AS spent_in, JSONExtractUInt(extra, 'tokens_out') AS spent_out
    FROM feedback FINAL
    WHERE task = {task:String} AND occurred_at >= {since:DateTime64(3, 'UTC')} AND source IN ('audit', 'reviewer', 'judge')
)
