-- The Shiryaev-Roberts mixture on base-audit errors in order of inference, at most the last `most`. Asked of one version of a
-- task or of several at once, at the same place of each array: the task, its version, since when its answers count and of those
-- `skip` do not, its watermark, errors among the `labelled` of its reference, and how many labels before `since` count towards
-- baselines (`earlier`), and how many of those are errors (`earlier_errors`).
-- One row a version that has labels, by place, from 1: the statistic at the last label, and the label from which a change is
-- most likely.
-- The statistic is a sum over the labels k at which a change may have begun. A term is the mean over `steps`, by
-- `weights`, of the likelihood ratio of labels k to n between an error rate of baseline + step and the baseline; the first
-- label of all counts 1 + `head` times. The baseline is the error rate of the reference and the labels before k together,
-- with `unseen` errors more, without the `lag` labels before the block of `block` labels that k is in.
-- Sums of logarithms need no product that over- or underflows (690: the sum of 20,000 capped terms is still a number).
WITH
    subjects AS
    (
        SELECT arrayJoin(arrayEnumerate({tasks:Array(String)})) AS place,
               {tasks:Array(String)}[place] AS task, {versions:Array(String)}[place] AS version,
               {sinces:Array(DateTime64(6, 'UTC'))}[place] AS since,
               {watermarks:Array(DateTime64(6, 'UTC'))}[place] AS watermark
    ),
    {unseen:Float64} AS unseen
SELECT
    place, n, errors,
    arraySum(evidence) + if(dropped = 0, {head:UInt32} * evidence[1], 0.) AS statistic,
    indexOf(evidence, arrayMax(evidence)) AS change,
    n - change + 1 AS labels_since_change,
    errors - before[change] AS errors_since_change,
    baselines[change] AS baseline,
    times[change] AS change_at,
    times[1] AS first_at,
    times[-1] AS last_at
FROM
(
    SELECT
        place, times, dropped,
        length(wrong) AS n,
        arraySum(wrong) AS errors,
        -- wrong answers before k, of those that are looked at
        arrayPopBack(arrayPushFront(arrayCumSum(wrong), 0)) AS before,
        -- of the labels before k, those that its baseline uses: all but the newest
        arrayMap(k -> greatest(toInt64(dropped),
                               toInt64(intDiv(dropped + k - 1, {block:UInt32}) * {block:UInt32}) - {lag:UInt32}) - dropped,
                 arrayEnumerate(wrong)) AS used,
        arrayMap(u -> greatest({lowest:Float64}, (known_errors + before[u + 1] + unseen) / (known + u + unseen)),
                 used) AS baselines,
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
            s.place AS place,
            -- in order of inference; sorted as an array: as rows it takes a third of the query's time
            arraySort(groupArray((toUInt128(l.inference_id), l.tenant, toUInt8(l.error), l.occurred_at))) AS ordered,
            arraySlice(ordered, {skip:Array(UInt32)}[place] + 1) AS counted,
            arraySlice(counted, -toInt64({most:UInt32})) AS newest,
            newest.3 AS wrong,
            newest.4 AS times,
            {earlier:Array(UInt32)}[place] + length(counted) - length(newest) AS dropped,
            {labelled:Array(UInt32)}[place] + dropped AS known,
            {errors:Array(UInt32)}[place] + {earlier_errors:Array(UInt32)}[place]
                + arraySum(counted.3) - arraySum(wrong) AS known_errors
        FROM
        (
            SELECT task, version, inference_id, tenant, occurred_at, error
            FROM audit_labels FINAL
            WHERE (task, version) IN (SELECT task, version FROM subjects) AND NOT unknown
              AND toUInt128(inference_id) >= bitShiftLeft(toUInt128(greatest(0, toUnixTimestamp64Milli(
                    arrayMin({sinces:Array(DateTime64(6, 'UTC'))})) - 86400000)), 80)
              AND occurred_at >= arrayMin({sinces:Array(DateTime64(6, 'UTC'))})
        ) AS l
        INNER JOIN subjects AS s ON l.task = s.task AND l.version = s.version
        WHERE l.occurred_at >= s.since AND l.occurred_at <= s.watermark
        GROUP BY place
        HAVING length(newest) > 0
    )
)
ORDER BY place
-- Copies of one label are of one answer: the index on its time finds all of them.
SETTINGS use_skip_indexes_if_final_exact_mode = 0
