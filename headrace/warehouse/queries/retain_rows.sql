-- How many rows of before `horizon` are still there that have expired, replays included. One row.
SELECT
    (
        SELECT count() FROM inferences
        WHERE toUInt128(inference_id) < bitShiftLeft(toUInt128(toUnixTimestamp64Milli({horizon:DateTime64(3, 'UTC')})), 80)
          AND (toUInt128(inference_id), tenant) IN
              (SELECT toUInt128(inference_id), tenant FROM expired_inferences
               WHERE toUInt128(inference_id) IN
                     (SELECT toUInt128(inference_id) FROM inferences
                      WHERE toUInt128(inference_id)
                            < bitShiftLeft(toUInt128(toUnixTimestamp64Milli({horizon:DateTime64(3, 'UTC')})), 80)))
    ) AS inferences,
    (
        SELECT count() FROM feedback
        WHERE toUInt128(feedback_id) < bitShiftLeft(toUInt128(toUnixTimestamp64Milli({horizon:DateTime64(3, 'UTC')})), 80)
          AND (toUInt128(feedback_id), tenant, revision, ground_truth) IN
              (SELECT toUInt128(feedback_id), tenant, revision, ground_truth FROM expired
               WHERE toUInt128(feedback_id) IN
                     (SELECT toUInt128(feedback_id) FROM feedback
                      WHERE toUInt128(feedback_id)
                            < bitShiftLeft(toUInt128(toUnixTimestamp64Milli({horizon:DateTime64(3, 'UTC')})), 80)))
    ) AS feedback
