-- Partitions with rows of before `horizon` (by the ids' own time): one row a table and partition.
--   due    how many of these rows were ingested before `arrived`, and may go
--   newer  how many were ingested since then, and stay for now
--   parts  the parts that hold them
SELECT * FROM
(
    SELECT 'feedback' AS table, _partition_id AS partition, arraySort(groupUniqArray(_part)) AS parts,
           countIf(ingested_at < {arrived:DateTime64(3, 'UTC')}) AS due, count() - due AS newer
    FROM feedback
    WHERE toUInt128(feedback_id) < bitShiftLeft(toUInt128(toUnixTimestamp64Milli({horizon:DateTime64(3, 'UTC')})), 80)
    GROUP BY partition
    UNION ALL
    SELECT 'audit_labels', _partition_id AS partition, arraySort(groupUniqArray(_part)),
           countIf(ingested_at < {arrived:DateTime64(3, 'UTC')}) AS due, count() - due
    FROM audit_labels
    WHERE toUInt128(inference_id) < bitShiftLeft(toUInt128(toUnixTimestamp64Milli({horizon:DateTime64(3, 'UTC')})), 80)
    GROUP BY partition
    UNION ALL
    SELECT 'inferences', _partition_id AS partition, arraySort(groupUniqArray(_part)),
           countIf(ingested_at < {arrived:DateTime64(3, 'UTC')}) AS due, count() - due
    FROM inferences
    WHERE toUInt128(inference_id) < bitShiftLeft(toUInt128(toUnixTimestamp64Milli({horizon:DateTime64(3, 'UTC')})), 80)
    GROUP BY partition
)
WHERE due > 0
ORDER BY table, partition
