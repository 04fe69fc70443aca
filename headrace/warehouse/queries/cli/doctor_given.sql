-- The ids of the events that emitters call so: one row an id.
SELECT DISTINCT id
FROM
(
    SELECT inference_id AS id FROM inferences WHERE given_id = {text:String}
    UNION ALL
    SELECT feedback_id FROM feedback WHERE given_id = {text:String}
)
ORDER BY toUInt128(id)
LIMIT 100
