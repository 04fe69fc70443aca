-- Partitions with rows of before `horizon` (by the ids' own time): one row a table and partition. ahead: of ids that were
-- ahead of their insert (partition 999999), and only those that may go; else of all others.
--   due    how many of these rows were ingested before `arrived`, and may go
--   newer  how many were ingested since then, and stay for now
--   parts  the parts that hold them
--   first, last  the least and the greatest id of those that may go, as numbers
SELECT table, partition, arraySort(groupUniqArray(part)) AS parts, countIf(goes) AS due, countIf(NOT goes) AS newer,
       minIf(id, goes) AS first, maxIf(id, goes) AS last
FROM
(
    SELECT 'feedback' AS table, _partition_id AS partition, _part AS part, toUInt128(feedback_id) AS id,
           ingested_at < {arrived:DateTime64(3, 'UTC')} AS goes
    FROM feedback
    WHERE (_partition_id = '999999') = {ahead:Bool}
      AND toUInt128(feedback_id) < bitShiftLeft(toUInt128(toUnixTimestamp64Milli({horizon:DateTime64(3, 'UTC')})), 80)
      AND (NOT {ahead:Bool} OR ingested_at < {arrived:DateTime64(3, 'UTC')})
    UNION ALL
    SELECT 'arrivals', _partition_id, _part, toUInt128(event_id), ingested_at < {arrived:DateTime64(3, 'UTC')}
    FROM arrivals
    -- partition 1 is what is kept
    WHERE _partition_id != '1' AND (_partition_id = '999999') = {ahead:Bool}
      AND toUInt128(event_id) < bitShiftLeft(toUInt128(toUnixTimestamp64Milli({horizon:DateTime64(3, 'UTC')})), 80)
      AND (NOT {ahead:Bool} OR ingested_at < {arrived:DateTime64(3, 'UTC')})
    UNION ALL
    SELECT 'audit_labels', _partition_id, _part, toUInt128(inference_id), ingested_at < {arrived:DateTime64(3, 'UTC')}
    FROM audit_labels
    WHERE (_partition_id = '999999') = {ahead:Bool}
      AND toUInt128(inference_id) < bitShiftLeft(toUInt128(toUnixTimestamp64Milli({horizon:DateTime64(3, 'UTC')})), 80)
      AND (NOT {ahead:Bool} OR ingested_at < {arrived:DateTime64(3, 'UTC')})
    UNION ALL
    SELECT 'inferences', _partition_id, _part, toUInt128(inference_id), ingested_at < {arrived:DateTime64(3, 'UTC')}
    FROM inferences
    WHERE (_partition_id = '999999') = {ahead:Bool}
      AND toUInt128(inference_id) < bitShiftLeft(toUInt128(toUnixTimestamp64Milli({horizon:DateTime64(3, 'UTC')})), 80)
      AND (NOT {ahead:Bool} OR ingested_at < {arrived:DateTime64(3, 'UTC')})
)
GROUP BY table, partition
HAVING due > 0
ORDER BY table, partition
