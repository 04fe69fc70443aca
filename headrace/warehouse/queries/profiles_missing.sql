-- Which of the closed windows in `wanted` have to be profiled: one row a window, its start in milliseconds since 1970.
-- Those without a profile; of the newest ones, in `late`, also those that got answers since. An answer's ingested_at is
-- taken when its insert begins, so it may show up half a minute later.
WITH
    {size_ms:Int64} AS size,
    profiled AS
    (
        SELECT toUnixTimestamp64Milli(window_from) AS span, max(known_at) AS known
        FROM window_profiles
        WHERE task = {task:String} AND version = {version:String} AND window_to = window_from + toIntervalMillisecond(size)
          AND span IN {wanted:Array(Int64)}
        GROUP BY span
    )
SELECT arrayJoin({wanted:Array(Int64)}) AS span WHERE span NOT IN (SELECT span FROM profiled)
UNION DISTINCT
SELECT a.span
FROM
(
    SELECT intDiv(toUnixTimestamp64Milli(occurred_at), size) * size AS span, max(ingested_at) AS newest
    FROM inferences
    WHERE task = {task:String} AND version = {version:String} AND arm = 'live'
      AND occurred_at >= fromUnixTimestamp64Milli(arrayMin({late:Array(Int64)}), 'UTC')
      AND occurred_at < fromUnixTimestamp64Milli(arrayMax({late:Array(Int64)}) + size, 'UTC')
      AND toUInt128(inference_id) >= bitShiftLeft(toUInt128(greatest(0, arrayMin({late:Array(Int64)}) - 86400000)), 80)
      AND toUInt128(inference_id) < bitShiftLeft(toUInt128(greatest(0, arrayMax({late:Array(Int64)}) + size + 86400000)), 80)
      AND ingested_at >= (SELECT min(known) FROM profiled WHERE span IN {late:Array(Int64)}) - INTERVAL 30 SECOND
    GROUP BY span
) AS a
INNER JOIN profiled AS p ON a.span = p.span
WHERE a.newest >= p.known - INTERVAL 30 SECOND
