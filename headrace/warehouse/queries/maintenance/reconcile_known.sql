-- Which events of these ids there are anywhere: as a row, as expired, or as a dead letter. One row a kind, tenant, id and revision.
-- kind: inferences or feedback
-- upto: whether it also explains lesser revisions, which a row replaces and a letter does not; an answer that expired explains all
SELECT DISTINCT kind, tenant, toString(id) AS id, revision, upto
FROM
(
    SELECT 'inferences' AS kind, toString(tenant) AS tenant, inference_id AS id, revision, true AS upto FROM inferences
    WHERE toUInt128(inference_id) IN (SELECT toUInt128(toUUID(arrayJoin({ids:Array(String)}))))
    UNION ALL
    SELECT 'feedback', toString(tenant), feedback_id, revision, true FROM feedback
    WHERE toUInt128(feedback_id) IN (SELECT toUInt128(toUUID(arrayJoin({ids:Array(String)}))))
    UNION ALL
    SELECT 'feedback', toString(tenant), feedback_id, revision, true FROM expired
    WHERE toUInt128(feedback_id) IN (SELECT toUInt128(toUUID(arrayJoin({ids:Array(String)}))))
    UNION ALL
    SELECT 'inferences', toString(tenant), inference_id, 4294967295, true FROM expired_inferences
    WHERE toUInt128(inference_id) IN (SELECT toUInt128(toUUID(arrayJoin({ids:Array(String)}))))
    UNION ALL
    SELECT if(topic = 'headrace.inferences', 'inferences', 'feedback'), tenant, assumeNotNull(event_id), revision, false
    FROM dead_letters WHERE ifNull(toString(event_id), '') IN {ids:Array(String)}
)
