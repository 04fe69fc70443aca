-- Which closed windows of one version are embedded: of those in `wanted` (starts, milliseconds since 1970), and the
-- `newest` ones from `since` on that have at least `fewest` questions. One row a window, oldest first.
-- newest: whether it is one of the latter.
WITH embedded AS
(
    SELECT toUnixTimestamp64Milli(window_from) AS span, questions
    FROM window_embeddings FINAL
    WHERE task = {task:String} AND version = {version:String} AND encoder = {encoder:String}
      AND window_to = window_from + toIntervalMillisecond({size_ms:Int64})
)
SELECT span, max(is_newest) AS newest
FROM
(
    SELECT span, false AS is_newest FROM embedded WHERE span IN {wanted:Array(Int64)}
    UNION ALL
    SELECT span, true FROM embedded
    WHERE span >= {since_ms:Int64} AND span < {until_ms:Int64} AND questions >= {fewest:UInt32}
    ORDER BY span DESC LIMIT {newest:UInt32}
)
GROUP BY span
ORDER BY span
