-- Months that ended before `horizon`, with their parts: one row a table and partition. An id's month is its partition (headrace/places.py),
-- so that no id is read.
--   newer  how many rows were ingested since `arrived`, and stay for now
--   parts  the parts of the month
SELECT table, partition, arraySort(groupArray(part)) AS parts, sum(stays) AS newer
FROM
(
    SELECT 'feedback' AS table, _partition_id AS partition, _part AS part,
           countIf(ingested_at < {arrived:DateTime64(3, 'UTC')}) AS goes, count() - goes AS stays
    FROM feedback
    WHERE toUInt32(_partition_id) BETWEEN 197001 AND toYYYYMM({horizon:DateTime64(3, 'UTC')}) - 1
    GROUP BY partition, part
    UNION ALL
    SELECT 'arrivals' AS table, _partition_id AS partition, _part AS part,
           countIf(ingested_at < {arrived:DateTime64(3, 'UTC')}) AS goes, count() - goes AS stays
    FROM arrivals
    WHERE toUInt32(_partition_id) BETWEEN 197001 AND toYYYYMM({horizon:DateTime64(3, 'UTC')}) - 1
    GROUP BY partition, part
    UNION ALL
    SELECT 'audit_labels' AS table, _partition_id AS partition, _part AS part,
           countIf(ingested_at < {arrived:DateTime64(3, 'UTC')}) AS goes, count() - goes AS stays
    FROM audit_labels
    WHERE toUInt32(_partition_id) BETWEEN 197001 AND toYYYYMM({horizon:DateTime64(3, 'UTC')}) - 1
    GROUP BY partition, part
    UNION ALL
    SELECT 'inferences' AS table, _partition_id AS partition, _part AS part,
           countIf(ingested_at < {arrived:DateTime64(3, 'UTC')}) AS goes, count() - goes AS stays
    FROM inferences
    WHERE toUInt32(_partition_id) BETWEEN 197001 AND toYYYYMM({horizon:DateTime64(3, 'UTC')}) - 1
    GROUP BY partition, part
)
GROUP BY table, partition
HAVING sum(goes) > 0
ORDER BY table, partition
