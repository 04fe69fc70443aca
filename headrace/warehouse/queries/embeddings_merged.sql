-- One row a group of windows in `groups` (each an array of starts, milliseconds since 1970): the moments of their
-- embeddings together. place: of the group, from 1; groups without embedded windows have no row. window_questions,
-- window_sums: of each window.
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
    WHERE task = {task:String} AND version = {version:String} AND encoder = {encoder:String}
      AND window_to = window_from + toIntervalMillisecond({size_ms:Int64})
      AND span IN arrayFlatten({groups:Array(Array(Int64))})
) AS e
ARRAY JOIN arrayFilter(each -> has({groups:Array(Array(Int64))}[each], e.span),
                       arrayEnumerate({groups:Array(Array(Int64))})) AS place
GROUP BY place
ORDER BY place
