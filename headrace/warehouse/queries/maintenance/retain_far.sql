-- The partition of ids that are far from the time of their insert, where it has rows of before `horizon` (by the ids' own time): one row a
-- table. partition: 0, or 999999 of ids that were ahead, and then only those that may go.
--   first, last  the least and the greatest id of those that were ingested before `arrived`, and may go, as numbers
SELECT 'feedback' AS table, min(toUInt128(feedback_id)) AS first, max(toUInt128(feedback_id)) AS last
FROM feedback
WHERE _partition_id = {partition:String}
  AND toUInt128(feedback_id) < bitShiftLeft(toUInt128(toUnixTimestamp64Milli({horizon:DateTime64(3, 'UTC')})), 80)
  AND ingested_at < {arrived:DateTime64(3, 'UTC')}
HAVING count() > 0
UNION ALL
SELECT 'arrivals' AS table, min(toUInt128(event_id)) AS first, max(toUInt128(event_id)) AS last
FROM arrivals
WHERE _partition_id = {partition:String}
  AND toUInt128(event_id) < bitShiftLeft(toUInt128(toUnixTimestamp64Milli({horizon:DateTime64(3, 'UTC')})), 80)
  AND ingested_at < {arrived:DateTime64(3, 'UTC')}
HAVING count() > 0
UNION ALL
SELECT 'audit_labels' AS table, min(toUInt128(inference_id)) AS first, max(toUInt128(inference_id)) AS last
FROM audit_labels
WHERE _partition_id = {partition:String}
  AND toUInt128(inference_id) < bitShiftLeft(toUInt128(toUnixTimestamp64Milli({horizon:DateTime64(3, 'UTC')})), 80)
  AND ingested_at < {arrived:DateTime64(3, 'UTC')}
HAVING count() > 0
UNION ALL
SELECT 'inferences' AS table, min(toUInt128(inference_id)) AS first, max(toUInt128(inference_id)) AS last
FROM inferences
WHERE _partition_id = {partition:String}
  AND toUInt128(inference_id) < bitShiftLeft(toUInt128(toUnixTimestamp64Milli({horizon:DateTime64(3, 'UTC')})), 80)
  AND ingested_at < {arrived:DateTime64(3, 'UTC')}
HAVING count() > 0
