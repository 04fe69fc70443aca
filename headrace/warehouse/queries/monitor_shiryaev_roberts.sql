-- The Shiryaev-Roberts mixture on base-audit errors in order of inference, without the first `skip`, at most the last
-- `most`. One row: the statistic at the last label, and the label from which a change is most likely.
-- The statistic is a sum over the labels k at which a change may have begun. A term is the mean over `steps` of the
-- likelihood ratio of labels k to n between an error rate of baseline + step and the baseline; the first label of all
-- counts 1 + `head` times. The baseline is the upper bound (Wilson, one-sided, z = {quantile}) of the error rate of the
-- reference and the labels before k together, without the `lag` labels before the block of `block` labels that k is in.
-- Sums of logarithms need no product that over- or underflows (690: the sum of 20,000 capped terms is still a number).
WITH
    {labelled:UInt32} AS labelled, {errors:UInt32} AS reference_errors, {quantile:Float64} AS z
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
        arrayMap((m, e) -> greatest({lowest:Float64},
                           (e + z * z / 2 + z * sqrt(e * (m - e) / m + z * z / 4)) / (m + z * z)),
                 known, known_errors) AS baselines,
        arrayMap((k, w, b) ->
                 arrayAvg(arrayMap(step -> if(b + step < {highest:Float64},
                     exp(least(690.,
                         (errors - w) * log((b + step) / b)
                         + (n - k + 1 - (errors - w)) * log((1 - b - step) / (1 - b)))),
                     0.), {steps:Array(Float64)})),
                 arrayEnumerate(wrong), before, baselines) AS evidence
    FROM
    (
        SELECT
            arraySlice(groupArray(toUInt8(error)) AS all_wrong, -toInt64({most:UInt32})) AS wrong,
            arraySlice(groupArray(occurred_at), -toInt64({most:UInt32})) AS times,
            length(all_wrong) - length(wrong) AS dropped,
            arraySum(all_wrong) - arraySum(wrong) AS dropped_errors
        FROM
        (
            SELECT error, occurred_at
            FROM audit_labels FINAL
            WHERE task = {task:String} AND version = {version:String}
              AND toUInt128(inference_id) >= bitShiftLeft(
                    toUInt128(greatest(0, toUnixTimestamp64Milli({since:DateTime64(6, 'UTC')}) - 86400000)), 80)
              AND occurred_at >= {since:DateTime64(6, 'UTC')} AND occurred_at <= {watermark:DateTime64(6, 'UTC')}
            ORDER BY toUInt128(inference_id), tenant
            LIMIT 1000000000 OFFSET {skip:UInt32}
        )
    )
)
