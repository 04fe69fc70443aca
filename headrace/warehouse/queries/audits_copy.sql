-- Copies the blind labels that came since the last copy to `audit_labels`, each beside its answer; those that are there stay as
-- they are, for what rests on a copy is counted again where one came. Repeated, it comes to the same rows.
-- place: as of the copy that is there, for of equal words FINAL takes that of the greater partition; else see headrace/places.py.
INSERT INTO audit_labels (task, tenant, inference_id, occurred_at, version, arm, input, answered, audit_probability,
                          label, unknown, feedback_id, labelled_at, rater, error, word, ingested_at, place)
WITH there AS
(
    SELECT tenant, inference_id, word, answered, place FROM audit_labels
    WHERE toUInt128(inference_id) IN (SELECT toUInt128(inference_id) FROM audit_touched)
)
SELECT task, tenant, inference_id, occurred_at, version, arm, input, answered, audit_probability,
       label, unknown, feedback_id, labelled_at, rater, error, word, now64(3, 'UTC') AS ingested_at,
       multiIf(t.places > 0, t.its_place,
               UUIDv7ToDateTime(inference_id, 'UTC') < ingested_at - INTERVAL 1000 DAY, 0,
               UUIDv7ToDateTime(inference_id, 'UTC') > ingested_at + INTERVAL 10 MINUTE, 999999,
               toYYYYMM(UUIDv7ToDateTime(inference_id, 'UTC'))) AS place
FROM audit_fresh AS f
LEFT JOIN (SELECT tenant, inference_id, count() AS places, min(place) AS its_place FROM there GROUP BY tenant, inference_id) AS t
    ON f.tenant = t.tenant AND f.inference_id = t.inference_id
WHERE (tenant, inference_id, word, answered) NOT IN (SELECT tenant, inference_id, word, answered FROM there)
