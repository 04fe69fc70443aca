-- Which closed windows of a version are embedded. Asked of several at once, at the same place of each array: the task, the version,
-- windows that are wanted (starts, milliseconds since 1970), and from when up to when the newest ones are. One row a version and
-- window, oldest first: those wanted, and the `newest` newest that have at least `fewest` questions. place: of the version, from 1;
-- newest: whether it is one of the latter.
WITH embedded AS
(
    SELECT indexOf(arrayZip({tasks:Array(String)}, {versions:Array(String)}), (task, version)) AS place,
           toUnixTimestamp64Milli(window_from) AS span, questions
    FROM window_embeddings FINAL
    WHERE (task, version) IN (arrayZip({tasks:Array(String)}, {versions:Array(String)})) AND encoder = {encoder:String}
      AND window_to = window_from + toIntervalMillisecond({size_ms:Int64})
)
SELECT place, span, max(is_newest) AS newest
FROM
(
    SELECT place, span, false AS is_newest FROM embedded WHERE has({wanted:Array(Array(Int64))}[place], span)
    UNION ALL
    SELECT place, span, true FROM embedded
    WHERE span >= {since_ms:Array(Int64)}[place] AND span < {until_ms:Array(Int64)}[place] AND questions >= {fewest:UInt32}
    ORDER BY span DESC LIMIT {newest:UInt32} BY place
)
GROUP BY place, span
ORDER BY place, span
