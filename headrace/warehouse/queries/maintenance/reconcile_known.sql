-- Which of these ids stand anywhere: as a row, as expired, or as a dead letter. One row an id.
SELECT DISTINCT toString(id) AS id
FROM
(
    SELECT inference_id AS id FROM inferences
    WHERE toUInt128(inference_id) IN (SELECT toUInt128(toUUID(arrayJoin({ids:Array(String)}))))
    UNION ALL
    SELECT feedback_id FROM feedback
    WHERE toUInt128(feedback_id) IN (SELECT toUInt128(toUUID(arrayJoin({ids:Array(String)}))))
    UNION ALL
    SELECT feedback_id FROM expired
    WHERE toUInt128(feedback_id) IN (SELECT toUInt128(toUUID(arrayJoin({ids:Array(String)}))))
    UNION ALL
    SELECT inference_id FROM expired_inferences
    WHERE toUInt128(inference_id) IN (SELECT toUInt128(toUUID(arrayJoin({ids:Array(String)}))))
    UNION ALL
    SELECT assumeNotNull(event_id) FROM dead_letters WHERE ifNull(toString(event_id), '') IN {ids:Array(String)}
)
