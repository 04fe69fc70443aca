-- Partitions of `parked`, months of the year, in which nothing waits and nothing changed since the last pass.
SELECT month
FROM
(
    SELECT toMonth(UUIDv7ToDateTime(feedback_id, 'UTC')) AS month, max(known_at) AS changed
    FROM parked GROUP BY month
)
WHERE changed < (SELECT since FROM balance_tail)
  AND month NOT IN (SELECT toMonth(UUIDv7ToDateTime(feedback_id, 'UTC')) FROM parked FINAL)
