-- What is to be done in feedback_waiting: how much was found and not written, how much is new, and between which times
-- the oldest {limit} of the new ones happened. One row.
WITH due AS (SELECT state, occurred_at FROM feedback_waiting FINAL WHERE state IN ('new', 'found'))
SELECT (SELECT count() FROM due WHERE state = 'found') AS found, count() AS new,
       min(occurred_at) AS first, max(occurred_at) AS last
FROM (SELECT occurred_at FROM due WHERE state = 'new' ORDER BY occurred_at LIMIT {limit:UInt32})
