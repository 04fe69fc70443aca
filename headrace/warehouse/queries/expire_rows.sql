-- How many rows of feedback are still there that expired since the last pass, or came back since then in a replay.
SELECT count() AS rows, max(expired_at) AS newest
FROM expired
WHERE (toUInt128(feedback_id), tenant, revision) IN
      (SELECT toUInt128(feedback_id), tenant, revision FROM feedback
       WHERE ingested_at >= (SELECT since FROM balance_tail)
          OR toUInt128(feedback_id) IN
             (SELECT toUInt128(feedback_id) FROM expired WHERE expired_at >= (SELECT since FROM balance_tail)))
