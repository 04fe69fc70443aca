-- The sums of profiles of windows that are taken together. Asked of several groups at once, at the same place of each array: the
-- task, the version, and the windows (starts, milliseconds since 1970). One row a group.
-- place: of the group, from 1; groups without answers have no row. windows: that have answers; label_squares: of each label the
-- sum over windows of the square of its count over the window's sessions. The other columns as in window_profiles.
SELECT
    place,
    sum(p.sessions) AS sessions,
    sumMap(p.labels) AS labels,
    count() AS windows,
    sumMap(mapApply((label, n) -> (label, n * n / p.sessions), p.labels)) AS label_squares,
    sum(p.scored) AS scored,
    sumMap(p.confidences) AS confidences,
    sum(p.confidence_sum) AS confidence_sum,
    sum(p.entropy_sum) AS entropy_sum,
    sum(p.confidence_squares) AS confidence_squares,
    sum(p.entropy_squares) AS entropy_squares,
    sum(p.confidence_entropy) AS confidence_entropy
FROM
(
    SELECT * EXCEPT words, toUnixTimestamp64Milli(window_from) AS span
    FROM window_profiles FINAL
    WHERE (task, version) IN (arrayZip({tasks:Array(String)}, {versions:Array(String)}))
      AND window_to = window_from + toIntervalMillisecond({size_ms:Int64})
      AND span IN arrayFlatten({groups:Array(Array(Int64))})
) AS p
ARRAY JOIN arrayFilter(each -> {tasks:Array(String)}[each] = p.task AND {versions:Array(String)}[each] = p.version
                               AND has({groups:Array(Array(Int64))}[each], p.span),
                       arrayEnumerate({groups:Array(Array(Int64))})) AS place
GROUP BY place
ORDER BY place
