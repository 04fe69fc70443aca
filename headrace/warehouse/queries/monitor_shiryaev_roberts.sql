-- The Shiryaev-Roberts mixture on base-audit errors in order of inference, without the first `skip`, at most the last
-- `most`. One row: the statistic at the last label, and the label from which a change is most likely.
-- The statistic is a sum over the labels k at which a change may have begun. A term is the mean over `steps` of the
-- likelihood ratio of labels k to n between an error rate of baseline + step and the baseline; the baseline is the upper
-- bound (Wilson, one-sided, z = {quantile}) of the error rate of the reference and all labels before k together.
-- Sums of logarithms need no product that over- or underflows (690: the sum of 20,000 capped terms is still a number).
WITH
    {labelled:UInt32} AS labelled, {errors:UInt32} AS reference_errors, {quantile:Float64} AS z
SELECT
    n, errors,
    arraySum(evidence) AS statistic,
    indexOf(evidence, arrayMax(evidence)) AS change,
    if(n > 0, n - change + 1, 0) AS labels_since_change,
    baselines[change] AS baseline,
    times[change] AS change_at,
    times[1] AS first_at,
    times[-1] AS last_at
FROM
(
    SELECT
        length(wrong) AS n,
        arraySum(wrong) AS errors,
        times,
        arrayMap(count -> labelled + dropped + count - 1, arrayEnumerate(wrong)) AS known,
        arrayMap(before -> reference_errors + dropped_errors + before,
                 arrayPopBack(arrayPushFront(arrayCumSum(wrong), 0))) AS known_errors,
        arrayMap((m, e) -> greatest({lowest:Float64},
                           (e + z * z / 2 + z * sqrt(e * (m - e) / m + z * z / 4)) / (m + z * z)),
                 known, known_errors) AS baselines,
        arrayMap((m, e, b) ->
                 arrayAvg(arrayMap(step -> if(b + step < {highest:Float64},
                     exp(least(690.,
                         (known_errors[1] + errors - e) * log((b + step) / b)
                         + (known[1] + n - m - (known_errors[1] + errors - e)) * log((1 - b - step) / (1 - b)))),
                     0.), {steps:Array(Float64)})),
                 known, known_errors, baselines) AS evidence
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
