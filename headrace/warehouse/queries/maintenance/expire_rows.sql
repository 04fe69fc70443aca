-- Rows of feedback that are still there and expired parked since `since`, or came back since then in a replay: one row each,
-- at most `most`. Two reads: an OR of the two would use neither the key nor the index, and read all feedback there is.
SELECT DISTINCT _partition_id AS partition, toUInt128(feedback_id) AS id, toString(tenant) AS tenant, revision, ground_truth
FROM feedback
WHERE (toUInt128(feedback_id), tenant, revision, ground_truth) IN
      (SELECT toUInt128(feedback_id), tenant, revision, ground_truth FROM expired
       WHERE why = 'parked' AND expired_at >= {since:DateTime64(3, 'UTC')}
       UNION ALL
       SELECT toUInt128(feedback_id), tenant, revision, ground_truth FROM expired
       WHERE why = 'parked' AND toUInt128(feedback_id) IN
             (SELECT toUInt128(feedback_id) FROM feedback WHERE ingested_at >= {since:DateTime64(3, 'UTC')}))
ORDER BY partition, id
LIMIT {most:UInt32}
