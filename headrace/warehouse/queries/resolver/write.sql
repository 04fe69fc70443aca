-- Writes feedback again with the answer that was found for it; the greater `resolved` replaces the row before.
-- Of an answer that it was about before it keeps the id, for a merge takes that row away and what counted it is counted again.
INSERT INTO feedback
SELECT f.* REPLACE (w.inference_id AS inference_id, toUInt8(least(f.resolved + 1, 255)) AS resolved,
                    w.resolved_by AS resolved_by,
                    if(f.inference_id = toUUID('00000000-0000-0000-0000-000000000000'), f.former_ids,
                       arrayDistinct(arrayPushBack(f.former_ids, f.inference_id))) AS former_ids,
                    now64(3) AS ingested_at)
FROM
(
    SELECT * FROM feedback FINAL
    WHERE toUInt128(feedback_id) IN (SELECT toUInt128(feedback_id) FROM feedback_waiting FINAL WHERE state = 'found')
) AS f
INNER JOIN (SELECT * FROM feedback_waiting FINAL WHERE state = 'found') AS w
    ON f.tenant = w.tenant AND f.feedback_id = w.feedback_id AND f.revision = w.revision
       AND f.ground_truth = w.ground_truth
WHERE f.inference_id != w.inference_id
