-- How many rows of feedback are still there that expired parked since the last pass, or came back since then in a replay. Two
-- reads: an OR of the two would use neither the key nor the index, and read all feedback there is.
SELECT count() AS rows, max(expired_at) AS newest
FROM expired
WHERE why = 'parked' AND (toUInt128(feedback_id), tenant, revision, ground_truth) IN
      (SELECT toUInt128(feedback_id), tenant, revision, ground_truth FROM feedback
       WHERE ingested_at >= (SELECT since FROM balance_tail)
       UNION ALL
       SELECT toUInt128(feedback_id), tenant, revision, ground_truth FROM feedback
       WHERE toUInt128(feedback_id) IN
             (SELECT toUInt128(feedback_id) FROM expired WHERE expired_at >= (SELECT since FROM balance_tail)))
