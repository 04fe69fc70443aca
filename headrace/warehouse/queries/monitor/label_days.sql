-- The audit's labels by day of the answer (days since 1970). Asked of one version of a task or of several tasks at once, at the same
-- place of each array: the task, its version, since when its answers count, its watermark, and the days to count: the first and the
-- one after the last. No task is there twice.
-- One row a version and day that has any, oldest first. place: of the version, from 1; labels, errors: those up to the watermark;
-- fingerprint: another where any of them differs; ahead: the oldest answer after the watermark that has a label, 1970 for none.
-- It reads every label once after a start: a join to find a task's moments, or SipHash, would take longer than all the rest.
WITH
    86400000000 AS day_us,
    arrayMap((since, day) -> greatest(toUnixTimestamp64Micro(since), day * day_us),
             {sinces:Array(DateTime64(6, 'UTC'))}, {first_days:Array(Int64)}) AS sinces,
    arrayMap(day -> day * day_us, {last_days:Array(Int64)}) AS untils,
    arrayMap(moment -> toUnixTimestamp64Micro(moment), {watermarks:Array(DateTime64(6, 'UTC'))}) AS watermarks,
    arrayMin(sinces) AS oldest,
    arrayMax(untils) AS newest
SELECT place, toUInt32(intDiv(at, day_us)) AS day,
       countIf(at <= watermark) AS labels,
       countIf(at <= watermark AND error) AS errors,
       groupBitXorIf(cityHash64(inference_id, tenant, error), at <= watermark) AS fingerprint,
       minIf(occurred_at, at > watermark) AS ahead
FROM
(
    SELECT transform(task, {tasks:Array(String)}, arrayEnumerate({tasks:Array(String)}), 0) AS place,
           transform(task, {tasks:Array(String)}, sinces, 0) AS since,
           transform(task, {tasks:Array(String)}, untils, 0) AS until,
           transform(task, {tasks:Array(String)}, watermarks, 0) AS watermark,
           toUnixTimestamp64Micro(occurred_at) AS at, inference_id, tenant, occurred_at, error
    FROM audit_labels FINAL
    WHERE (task, version) IN (arrayZip({tasks:Array(String)}, {versions:Array(String)})) AND NOT unknown
      AND toUInt128(inference_id) >= bitShiftLeft(toUInt128(greatest(0, intDiv(oldest - day_us, 1000))), 80)
      AND toUInt128(inference_id) < bitShiftLeft(toUInt128(intDiv(newest + day_us, 1000)), 80)
      AND occurred_at >= fromUnixTimestamp64Micro(oldest, 'UTC') AND occurred_at < fromUnixTimestamp64Micro(newest, 'UTC')
      AND at >= since AND at < until
)
GROUP BY place, day
ORDER BY place, day
-- Copies of one label are of one answer: the index on its time finds all of them.
SETTINGS use_skip_indexes_if_final_exact_mode = 0
