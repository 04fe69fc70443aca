-- Partitions of `parked`, months of the year, in which nothing waits and nothing changed since the last pass: one row each.
-- parts: those that were looked at. A row that comes meanwhile stands in another one.
SELECT partition, parts
FROM
(
    SELECT _partition_id AS partition, arraySort(groupUniqArray(toString(_part))) AS parts, max(known_at) AS changed
    FROM parked GROUP BY partition
)
WHERE changed < (SELECT since FROM balance_tail)
  AND partition NOT IN (SELECT _partition_id FROM parked FINAL)
