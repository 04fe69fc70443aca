-- Of feedback of which something came since {since}, former revisions go over to the answer of the greatest one: it alone counts,
-- in whatever order they come. One whose answer is not found yet takes them along, and they wait with it.
INSERT INTO feedback
WITH
    moved AS
    (
        SELECT toUInt128(feedback_id) AS id FROM feedback
        WHERE toUInt128(feedback_id) IN (SELECT toUInt128(feedback_id) FROM feedback WHERE ingested_at >= {since:DateTime64(3, 'UTC')})
        GROUP BY id, tenant, ground_truth
        HAVING min(revision) < max(revision) AND min(inference_id) < max(inference_id)
    )
SELECT f.* REPLACE (g.answer AS inference_id, toUInt8(least(f.resolved + 1, 255)) AS resolved,
                    if(f.inference_id = toUUID('00000000-0000-0000-0000-000000000000'), f.former_ids,
                       arrayDistinct(arrayPushBack(f.former_ids, f.inference_id))) AS former_ids,
                    now64(3) AS ingested_at)
FROM (SELECT * FROM feedback FINAL WHERE toUInt128(feedback_id) IN moved) AS f
INNER JOIN
(
    SELECT tenant, feedback_id, ground_truth, argMax(inference_id, revision) AS answer, max(revision) AS last
    FROM feedback FINAL
    WHERE toUInt128(feedback_id) IN moved
    GROUP BY tenant, feedback_id, ground_truth
) AS g ON f.tenant = g.tenant AND f.feedback_id = g.feedback_id AND f.ground_truth = g.ground_truth
WHERE f.revision < g.last AND f.inference_id != g.answer
