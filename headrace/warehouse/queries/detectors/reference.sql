-- The first base-audit labels of a version since it became live, in order of inference. Asked of several at once, at the same place
-- of each array: the task, the version, since when it is live, its watermark, how many labels are wanted (`reference`), and until
-- when: it has as many before then, or none after. One row a version that has any. place: of the version, from 1.
WITH
    subjects AS
    (
        SELECT arrayJoin(arrayEnumerate({tasks:Array(String)})) AS place,
               {tasks:Array(String)}[place] AS task, {versions:Array(String)}[place] AS version,
               {sinces:Array(DateTime64(6, 'UTC'))}[place] AS since, {untils:Array(DateTime64(6, 'UTC'))}[place] AS until,
               {watermarks:Array(DateTime64(6, 'UTC'))}[place] AS watermark
    )
SELECT place, length(first) AS reference, arraySum(first.3) AS errors
FROM
(
    SELECT s.place AS place,
           arraySlice(arraySort(groupArray((toUInt128(l.inference_id), l.tenant, toUInt8(l.error)))),
                      1, {reference:Array(UInt32)}[place]) AS first
    FROM
    (
        SELECT task, version, inference_id, tenant, occurred_at, error
        FROM audit_labels FINAL
        WHERE (task, version) IN (SELECT task, version FROM subjects) AND NOT unknown
          AND toUInt128(inference_id) >= bitShiftLeft(toUInt128(greatest(0,
                toUnixTimestamp64Milli(arrayMin({sinces:Array(DateTime64(6, 'UTC'))})) - 86400000)), 80)
          AND toUInt128(inference_id) < bitShiftLeft(toUInt128(greatest(0,
                toUnixTimestamp64Milli(arrayMax({untils:Array(DateTime64(6, 'UTC'))})) + 86400000)), 80)
    ) AS l
    INNER JOIN subjects AS s ON l.task = s.task AND l.version = s.version
    WHERE l.occurred_at >= s.since AND l.occurred_at <= s.watermark AND l.occurred_at < s.until
    GROUP BY place
)
ORDER BY place
