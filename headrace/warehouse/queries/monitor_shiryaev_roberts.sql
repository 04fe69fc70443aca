-- The Shiryaev-Roberts mixture on base-audit errors in order of inference, without the first `skip` from `since` on, at most
-- the last `most`. One row: the statistic at the last label, and the label from which a change is most likely.
-- earlier, earlier_errors: how many labels before `since` count towards baselines, and how many of those are errors.
-- The statistic is a sum over the labels k at which a change may have begun. A term is the mean over `steps`, by
-- `weights`, of the likelihood ratio of labels k to n between an error rate of baseline + step and the baseline; the first
-- label of all counts 1 + `head` times. The baseline is the error rate of the reference and the labels before k together,
-- with `unseen` errors more, without the `lag` labels before the block of `block` labels that k is in.
-- Sums of logarithms need no product that over- or underflows (690: the sum of 20,000 capped terms is still a number).
WITH
    {labelled:UInt32} AS labelled, {errors:UInt32} AS reference_errors, {unseen:Float64} AS unseen
SELECT
    n, errors,
    arraySum(evidence) + if(n > 0 AND dropped = 0, {head:UInt32} * evidence[1], 0.) AS statistic,
    indexOf(evidence, arrayMax(evidence)) AS change,
    if(n > 0, n - change + 1, 0) AS labels_since_change,
    errors - before[change] AS errors_since_change,
    baselines[change] AS baseline,
    times[change] AS change_at,
    times[1] AS first_at,
    times[-1] AS last_at
FROM
(
    SELECT
        length(wrong) AS n,
        arraySum(wrong) AS errors,
        times, dropped,
        -- wrong answers before k, of those that are looked at
        arrayPopBack(arrayPushFront(arrayCumSum(wrong), 0)) AS before,
        -- of the labels before k, those that its baseline uses: all but the newest
        arrayMap(k -> greatest(toInt64(dropped),
                               toInt64(intDiv(dropped + k - 1, {block:UInt32}) * {block:UInt32}) - {lag:UInt32}) - dropped,
                 arrayEnumerate(wrong)) AS used,
        arrayMap(u -> labelled + dropped + u, used) AS known,
        arrayMap(u -> reference_errors + dropped_errors + before[u + 1], used) AS known_errors,
        arrayMap((m, e) -> greatest({lowest:Float64}, (e + unseen) / (m + unseen)), known, known_errors) AS baselines,
        arrayMap((k, w, b) ->
                 arraySum(arrayMap((step, weight) -> if(b + step < {highest:Float64},
                     weight * exp(least(690.,
                         (errors - w) * log((b + step) / b)
                         + (n - k + 1 - (errors - w)) * log((1 - b - step) / (1 - b)))),
                     0.), {steps:Array(Float64)}, {weights:Array(Float64)})),
                 arrayEnumerate(wrong), before, baselines) AS evidence
    FROM
    (
        SELECT
            -- in order of inference; sorted as an array: as rows it takes a third of the query's time
            arraySort(groupArray((toUInt128(inference_id), tenant, toUInt8(error), occurred_at))) AS ordered,
            arraySlice(ordered, {skip:UInt32} + 1) AS counted,
            arraySlice(counted, -toInt64({most:UInt32})) AS newest,
            newest.3 AS wrong,
            newest.4 AS times,
            {earlier:UInt32} + length(counted) - length(newest) AS dropped,
            {earlier_errors:UInt32} + arraySum(counted.3) - arraySum(wrong) AS dropped_errors
        FROM audit_labels FINAL
        WHERE task = {task:String} AND version = {version:String}
          AND toUInt128(inference_id) >= bitShiftLeft(
                toUInt128(greatest(0, toUnixTimestamp64Milli({since:DateTime64(6, 'UTC')}) - 86400000)), 80)
          AND occurred_at >= {since:DateTime64(6, 'UTC')} AND occurred_at <= {watermark:DateTime64(6, 'UTC')}
    )
)
