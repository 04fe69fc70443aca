-- Base-audit labels of the live arm of a version since its promotion, by spans of time that end where its last window closed.
-- Asked of several at once, at the same place of each array: the task, the version, since when its windows count, where the last
-- one closed, and how many spans there are. One row a version and span that has labels. place: of the version, from 1; back: 1 for
-- the newest span, up to its number of spans; 0: everything before those.
WITH subjects AS
(
    SELECT arrayJoin(arrayEnumerate({tasks:Array(String)})) AS place,
           {tasks:Array(String)}[place] AS task, {versions:Array(String)}[place] AS version,
           {sinces:Array(DateTime64(6, 'UTC'))}[place] AS since, {closed:Array(DateTime64(6, 'UTC'))}[place] AS closed,
           {spans:Array(Int64)}[place] AS spans
)
SELECT
    s.place AS place,
    if(intDiv(toUnixTimestamp64Milli(toDateTime64(s.closed, 3, 'UTC')) - toUnixTimestamp64Milli(w.window_to), {span_ms:Int64})
         AS spans_between >= s.spans, 0, spans_between + 1) AS back,
    sum(w.labelled) AS labelled,
    sum(w.errors) AS errors
FROM
(
    SELECT task, version, window_from, window_to, labelled, errors
    FROM windows FINAL
    WHERE (task, version) IN (SELECT task, version FROM subjects) AND arm = 'live'
      AND window_from >= arrayMin({sinces:Array(DateTime64(6, 'UTC'))})
      AND window_to <= arrayMax({closed:Array(DateTime64(6, 'UTC'))})
) AS w
INNER JOIN subjects AS s ON w.task = s.task AND w.version = s.version
WHERE w.window_from >= s.since AND w.window_to <= s.closed
GROUP BY place, back
HAVING labelled > 0
ORDER BY place, back
