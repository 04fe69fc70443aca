-- Partitions with rows of before `horizon` (by the ids' own time): one row a table and partition. ahead: of ids that were
-- ahead of their insert (partition 999999), and only those that may go; else of all others.
--   due    how many of these rows were ingested before `arrived`, and may go
--   newer  how many were ingested since then, and stay for now
--   parts  the parts that hold them
--   first, last  the least and the greatest id of those that may go, as numbers
SELECT table, partition, arraySort(groupArray(part)) AS parts, sum(goes) AS due, sum(stays) AS newer,
       minIf(least, goes > 0) AS first, maxIf(greatest, goes > 0) AS last
FROM
(
    SELECT 'feedback' AS table, _partition_id AS partition, _part AS part,
           countIf(ingested_at < {arrived:DateTime64(3, 'UTC')}) AS goes, count() - goes AS stays,
           minIf(toUInt128(feedback_id), ingested_at < {arrived:DateTime64(3, 'UTC')}) AS least,
           maxIf(toUInt128(feedback_id), ingested_at < {arrived:DateTime64(3, 'UTC')}) AS greatest
    FROM feedback
    WHERE (_partition_id = '999999') = {ahead:Bool}
      AND toUInt128(feedback_id) < bitShiftLeft(toUInt128(toUnixTimestamp64Milli({horizon:DateTime64(3, 'UTC')})), 80)
      AND (NOT {ahead:Bool} OR ingested_at < {arrived:DateTime64(3, 'UTC')})
    GROUP BY partition, part
    UNION ALL
    SELECT 'arrivals' AS table, _partition_id AS partition, _part AS part,
           countIf(ingested_at < {arrived:DateTime64(3, 'UTC')}) AS goes, count() - goes AS stays,
           minIf(toUInt128(event_id), ingested_at < {arrived:DateTime64(3, 'UTC')}) AS least,
           maxIf(toUInt128(event_id), ingested_at < {arrived:DateTime64(3, 'UTC')}) AS greatest
    FROM arrivals
    -- partition 1 is what is kept
    WHERE _partition_id != '1' AND (_partition_id = '999999') = {ahead:Bool}
      AND toUInt128(event_id) < bitShiftLeft(toUInt128(toUnixTimestamp64Milli({horizon:DateTime64(3, 'UTC')})), 80)
      AND (NOT {ahead:Bool} OR ingested_at < {arrived:DateTime64(3, 'UTC')})
    GROUP BY partition, part
    UNION ALL
    SELECT 'audit_labels' AS table, _partition_id AS partition, _part AS part,
           countIf(ingested_at < {arrived:DateTime64(3, 'UTC')}) AS goes, count() - goes AS stays,
           minIf(toUInt128(inference_id), ingested_at < {arrived:DateTime64(3, 'UTC')}) AS least,
           maxIf(toUInt128(inference_id), ingested_at < {arrived:DateTime64(3, 'UTC')}) AS greatest
    FROM audit_labels
    WHERE (_partition_id = '999999') = {ahead:Bool}
      AND toUInt128(inference_id) < bitShiftLeft(toUInt128(toUnixTimestamp64Milli({horizon:DateTime64(3, 'UTC')})), 80)
      AND (NOT {ahead:Bool} OR ingested_at < {arrived:DateTime64(3, 'UTC')})
    GROUP BY partition, part
    UNION ALL
    SELECT 'inferences' AS table, _partition_id AS partition, _part AS part,
           countIf(ingested_at < {arrived:DateTime64(3, 'UTC')}) AS goes, count() - goes AS stays,
           minIf(toUInt128(inference_id), ingested_at < {arrived:DateTime64(3, 'UTC')}) AS least,
           maxIf(toUInt128(inference_id), ingested_at < {arrived:DateTime64(3, 'UTC')}) AS greatest
    FROM inferences
    WHERE (_partition_id = '999999') = {ahead:Bool}
      AND toUInt128(inference_id) < bitShiftLeft(toUInt128(toUnixTimestamp64Milli({horizon:DateTime64(3, 'UTC')})), 80)
      AND (NOT {ahead:Bool} OR ingested_at < {arrived:DateTime64(3, 'UTC')})
    GROUP BY partition, part
)
GROUP BY table, partition
HAVING due > 0
ORDER BY table, partition
