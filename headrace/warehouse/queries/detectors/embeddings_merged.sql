-- The moments of embeddings of windows that are taken together. Asked of several groups at once, at the same place of each array:
-- the task, the version, and the windows (starts, milliseconds since 1970). One row a group. place: of the group, from 1; groups
-- without embedded windows have no row. window_questions, window_sums: of each window.
SELECT
    place,
    sum(e.questions) AS questions,
    sumForEach(e.sums) AS sums,
    sumForEach(e.products) AS products,
    groupArray(e.questions) AS window_questions,
    groupArray(e.sums) AS window_sums
FROM
(
    SELECT *, toUnixTimestamp64Milli(window_from) AS span
    FROM window_embeddings FINAL
    WHERE (task, version) IN (arrayZip({tasks:Array(String)}, {versions:Array(String)})) AND encoder = {encoder:String}
      AND window_to = window_from + toIntervalMillisecond({size_ms:Int64})
      AND span IN arrayFlatten({groups:Array(Array(Int64))})
) AS e
ARRAY JOIN arrayFilter(each -> {tasks:Array(String)}[each] = e.task AND {versions:Array(String)}[each] = e.version
                               AND has({groups:Array(Array(Int64))}[each], e.span),
                       arrayEnumerate({groups:Array(Array(Int64))})) AS place
GROUP BY place
ORDER BY place
