-- The audit's labels by day of the answer (days since 1970). Asked of one version of a task or of several at once, at the same
-- place of each array: the task, its version, since when its answers count, its watermark, and the days to count: the first and the
-- one after the last.
-- One row a version and day that has any, oldest first. place: of the version, from 1; labels, errors: those up to the watermark;
-- fingerprint: another where any of them differs; ahead: the oldest answer after the watermark that has a label, 1970 for none.
WITH
    subjects AS
    (
        SELECT arrayJoin(arrayEnumerate({tasks:Array(String)})) AS place,
               {tasks:Array(String)}[place] AS task, {versions:Array(String)}[place] AS version,
               {watermarks:Array(DateTime64(6, 'UTC'))}[place] AS watermark,
               greatest({sinces:Array(DateTime64(6, 'UTC'))}[place],
                        fromUnixTimestamp64Micro({first_days:Array(Int64)}[place] * 86400000000, 'UTC')) AS since,
               fromUnixTimestamp64Micro({last_days:Array(Int64)}[place] * 86400000000, 'UTC') AS until
    ),
    arrayMin(arrayMap((since, day) -> greatest(toUnixTimestamp64Milli(since), day * 86400000),
                      {sinces:Array(DateTime64(6, 'UTC'))}, {first_days:Array(Int64)})) AS oldest,
    arrayMax({last_days:Array(Int64)}) * 86400000 AS newest
SELECT s.place AS place, toUInt32(intDiv(toUnixTimestamp64Milli(l.occurred_at), 86400000)) AS day,
       countIf(l.occurred_at <= s.watermark) AS labels,
       countIf(l.occurred_at <= s.watermark AND l.error) AS errors,
       groupBitXorIf(sipHash64(l.inference_id, l.tenant, l.error), l.occurred_at <= s.watermark) AS fingerprint,
       minIf(l.occurred_at, l.occurred_at > s.watermark) AS ahead
FROM
(
    SELECT task, version, inference_id, tenant, occurred_at, error
    FROM audit_labels FINAL
    WHERE (task, version) IN (SELECT task, version FROM subjects) AND NOT unknown
      AND toUInt128(inference_id) >= bitShiftLeft(toUInt128(greatest(0, oldest - 86400000)), 80)
      AND toUInt128(inference_id) < bitShiftLeft(toUInt128(newest + 86400000), 80)
      AND occurred_at >= fromUnixTimestamp64Milli(oldest, 'UTC') AND occurred_at < fromUnixTimestamp64Milli(newest, 'UTC')
) AS l
INNER JOIN subjects AS s ON l.task = s.task AND l.version = s.version
WHERE l.occurred_at >= s.since AND l.occurred_at < s.until
GROUP BY place, day
ORDER BY place, day
-- Copies of one label are of one answer: the index on its time finds all of them.
SETTINGS use_skip_indexes_if_final_exact_mode = 0
