-- Which closed windows have to be profiled. Asked of several versions at once, at the same place of each array: the task, the
-- version, the windows that are wanted, and of these the newest, `late` (starts, milliseconds since 1970). One row a version and
-- window: those without a profile, and of the newest ones also those that got answers since, or lost one to another
-- version by a correction. place: of the version, from 1.
-- An answer's ingested_at is taken when its insert begins, so it may show up half a minute later.
WITH
    {size_ms:Int64} AS size,
    arrayMin(arrayFlatten({late:Array(Array(Int64))})) AS late_from,
    arrayMax(arrayFlatten({late:Array(Array(Int64))})) + size AS late_to,
    profiled AS
    (
        SELECT indexOf(arrayZip({tasks:Array(String)}, {versions:Array(String)}), (task, version)) AS place, toUnixTimestamp64Milli(window_from) AS span, max(known_at) AS known
        FROM window_profiles
        WHERE (task, version) IN (arrayZip({tasks:Array(String)}, {versions:Array(String)})) AND window_to = window_from + toIntervalMillisecond(size)
          AND has({wanted:Array(Array(Int64))}[place], span)
        GROUP BY place, span
    )
SELECT arrayJoin(arrayEnumerate({tasks:Array(String)})) AS place, arrayJoin({wanted:Array(Array(Int64))}[place]) AS span
WHERE (place, span) NOT IN (SELECT place, span FROM profiled)
UNION DISTINCT
SELECT p.place, a.span
FROM
(
    SELECT arrayJoin(arrayFilter(each -> {tasks:Array(String)}[each] = task AND (revision > 0 OR {versions:Array(String)}[each] = version),
                                 arrayEnumerate({tasks:Array(String)}))) AS place,
           intDiv(toUnixTimestamp64Milli(occurred_at), size) * size AS span, max(ingested_at) AS newest
    FROM inferences
    WHERE (revision > 0 AND task IN {tasks:Array(String)}
           OR (task, version) IN (arrayZip({tasks:Array(String)}, {versions:Array(String)})) AND arm = 'live')
      AND occurred_at >= fromUnixTimestamp64Milli(late_from, 'UTC') AND occurred_at < fromUnixTimestamp64Milli(late_to, 'UTC')
      AND toUInt128(inference_id) >= bitShiftLeft(toUInt128(greatest(0, late_from - 86400000)), 80)
      AND toUInt128(inference_id) < bitShiftLeft(toUInt128(greatest(0, late_to + 86400000)), 80)
      AND ingested_at >= (SELECT min(known) FROM profiled WHERE has({late:Array(Array(Int64))}[place], span)) - INTERVAL 30 SECOND
    GROUP BY place, span
) AS a
INNER JOIN profiled AS p ON a.place = p.place AND a.span = p.span
WHERE has({late:Array(Array(Int64))}[p.place], p.span) AND a.newest >= p.known - INTERVAL 30 SECOND
