-- Deletes the rows of feedback that expired parked since the last pass, and those that a replay brought back since then.
DELETE FROM feedback
WHERE (toUInt128(feedback_id), tenant, revision, ground_truth) IN
(
    SELECT toUInt128(feedback_id), tenant, revision, ground_truth FROM expired
    WHERE why = 'parked' AND expired_at >= {since:DateTime64(3, 'UTC')}
    UNION ALL
    SELECT toUInt128(feedback_id), tenant, revision, ground_truth FROM expired
    WHERE why = 'parked' AND toUInt128(feedback_id) IN
          (SELECT toUInt128(feedback_id) FROM feedback WHERE ingested_at >= {since:DateTime64(3, 'UTC')})
)
