-- One row a tested window, oldest first: how far the labels that the live version gave moved from the reference.
-- n, m: sessions in the reference and in the window, one inference each; psi: over `degrees` + 1 labels, after labels
-- with fewer than 5 expected in the smaller sample are pooled; p_value: of psi x nm/(n+m) under chi-square, by Wilson
-- and Hilferty's cube root.
WITH
    -- window -1 is the reference
    sampled AS
    (
        SELECT
            if(occurred_at < {reference_to:DateTime64(6, 'UTC')}, -1,
               intDiv(toUnixTimestamp64Milli(occurred_at), {size_ms:Int64}) * {size_ms:Int64}) AS span,
            if(session_id = '', toString(inference_id), session_id) AS session,
            argMin(label, toUInt128(inference_id)) AS first_label
        FROM inferences FINAL
        WHERE task = {task:String} AND version = {version:String} AND arm = 'live'
          AND ((occurred_at >= {reference_from:DateTime64(6, 'UTC')} AND occurred_at < {reference_to:DateTime64(6, 'UTC')})
            OR (occurred_at >= {tested_from:DateTime64(6, 'UTC')} AND occurred_at < {tested_to:DateTime64(6, 'UTC')}))
        GROUP BY span, tenant, session
    ),
    counted AS
    (
        SELECT span, mapFromArrays(groupArray(first_label), groupArray(answers)) AS labels
        FROM (SELECT span, first_label, count() AS answers FROM sampled GROUP BY span, first_label)
        GROUP BY span
    ),
    paired AS
    (
        SELECT
            t.span AS span,
            arrayDistinct(arrayConcat(mapKeys(r.labels), mapKeys(t.labels))) AS names,
            arrayMap(name -> r.labels[name], names) AS all_before,
            arrayMap(name -> t.labels[name], names) AS all_now,
            arraySum(all_before) AS n,
            arraySum(all_now) AS m,
            arrayMap((x, y) -> (x + y) * least(n, m) / (n + m) < 5, all_before, all_now) AS rare,
            arrayConcat(arrayFilter((x, few) -> NOT few, all_before, rare),
                        if(has(rare, 1), [arraySum((x, few) -> x * few, all_before, rare)], [])) AS before,
            arrayConcat(arrayFilter((y, few) -> NOT few, all_now, rare),
                        if(has(rare, 1), [arraySum((y, few) -> y * few, all_now, rare)], [])) AS now
        FROM (SELECT span, labels FROM counted WHERE span != -1) AS t
        CROSS JOIN (SELECT labels FROM counted WHERE span = -1) AS r
    )
SELECT
    fromUnixTimestamp64Milli(span, 'UTC') AS window_from,
    n, m,
    toInt32(length(before)) - 1 AS degrees,
    -- half an answer in each cell, so that an empty one has a logarithm
    arraySum((x, y) -> ((x + 0.5) / (n + 0.5 * length(before)) - (y + 0.5) / (m + 0.5 * length(before)))
                     * log((x + 0.5) / (n + 0.5 * length(before)) / ((y + 0.5) / (m + 0.5 * length(before)))), before, now) AS psi,
    psi * n * m / (n + m) AS statistic,
    if(degrees < 1, 1.,
       erfc((cbrt(statistic / degrees) - (1 - 2 / (9 * degrees))) / sqrt(2 / (9 * degrees)) / sqrt(2)) / 2) AS p_value
FROM paired
ORDER BY span
