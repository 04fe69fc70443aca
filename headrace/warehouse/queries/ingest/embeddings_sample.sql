-- Questions to the live arm of one version in one closed window, at most `most`: the first of each session, drawn by a
-- hash of the session. One row a question. An answer is what its last revision says.
SELECT input
FROM
(
    SELECT if(session_id = '', toString(inference_id), session_id) AS session,
           argMin(input, toUInt128(inference_id)) AS input
    FROM inferences FINAL
    WHERE task = {task:String} AND version = {version:String} AND arm = 'live'
      AND occurred_at >= {window_from:DateTime64(6, 'UTC')} AND occurred_at < {window_to:DateTime64(6, 'UTC')}
      AND toUInt128(inference_id) >= bitShiftLeft(toUInt128(greatest(0, toUnixTimestamp64Milli({window_from:DateTime64(6, 'UTC')}) - 86400000)), 80)
      AND toUInt128(inference_id) < bitShiftLeft(toUInt128(greatest(0, toUnixTimestamp64Milli({window_to:DateTime64(6, 'UTC')}) + 86400000)), 80)
    GROUP BY tenant, session
)
WHERE input != ''
ORDER BY sipHash64(session), session
LIMIT {most:UInt32}
