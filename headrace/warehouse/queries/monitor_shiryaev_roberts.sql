-- The Shiryaev-Roberts mixture on base-audit errors in order of inference, without the first `skip`, at most the last
-- `most`. One row: the statistic at the last label, and the label from which a change is most likely.
-- Unrolled, the recursion R = (1 + R) x LR is a sum over k of the likelihood ratio of labels k to n; with S the running
-- sum of log likelihood ratios a term is exp(S_n - S_(k-1)), which needs no product that over- or underflows (690: the
-- sum of 20,000 capped terms is still a number).
SELECT
    n, errors,
    arraySum(evidence) AS statistic,
    indexOf(evidence, arrayMax(evidence)) AS change,
    if(n > 0, n - change + 1, 0) AS labels_since_change,
    times[change] AS change_at,
    times[1] AS first_at,
    times[-1] AS last_at
FROM
(
    SELECT
        any(length(wrong)) AS n,
        any(arraySum(wrong)) AS errors,
        any(at) AS times,
        avgForEach(arrayMap(before -> exp(least(690., sums[-1] - before)), arrayPopBack(arrayPushFront(sums, 0.)))) AS evidence
    FROM
    (
        SELECT
            wrong, at,
            arrayCumSum(arrayMap(
                e -> if(e = 1, log(rate / {baseline:Float64}), log((1 - rate) / (1 - {baseline:Float64}))), wrong)) AS sums
        FROM
        (
            SELECT
                arraySlice(groupArray(toUInt8(error)), -toInt64({most:UInt32})) AS wrong,
                arraySlice(groupArray(occurred_at), -toInt64({most:UInt32})) AS at
            FROM
            (
                SELECT error, occurred_at
                FROM audit_current
                WHERE task = {task:String} AND version = {version:String}
                  AND occurred_at >= {since:DateTime64(6, 'UTC')} AND occurred_at <= {watermark:DateTime64(6, 'UTC')}
                ORDER BY toUInt128(inference_id), tenant
                LIMIT 1000000000 OFFSET {skip:UInt32}
            )
        )
        ARRAY JOIN {rates:Array(Float64)} AS rate
    )
)
