-- Copies blind labels to `audit_labels`, each beside its answer: those of answers of `days`, of `ids` alone where there are any.
-- Those that are there stay as they are, for what rests on a copy is counted again where one came. Repeated, it comes to
-- the same rows. The copy that counts is asked, for an answer may be corrected to what it was before.
-- A copy lies where the former lies, for of equal words FINAL takes that of the greater partition; NULL is the column's default.
-- `places` are the partitions in which there may be one.
INSERT INTO audit_labels (task, tenant, inference_id, occurred_at, version, arm, input, answered, audit_probability,
                          label, unknown, feedback_id, labelled_at, rater, error, word, place)
SELECT task, tenant, inference_id, occurred_at, version, arm, input, answered, audit_probability,
       label, unknown, feedback_id, labelled_at, rater, error, word, if(empty(t.copies), NULL, t.its_place) AS place
FROM
(
    SELECT * FROM audit_said
    WHERE answered_on IN {days:Array(Date)} AND (empty({ids:Array(UInt128)}) OR toUInt128(inference_id) IN {ids:Array(UInt128)})
) AS f
LEFT JOIN
(
    SELECT tenant, inference_id, min(place) AS its_place, groupUniqArray((word, answered)) AS copies
    FROM audit_labels FINAL
    WHERE place IN {places:Array(UInt32)} AND toDate(UUIDv7ToDateTime(inference_id, 'UTC')) IN {days:Array(Date)}
      AND (empty({ids:Array(UInt128)}) OR toUInt128(inference_id) IN {ids:Array(UInt128)})
    GROUP BY tenant, inference_id
) AS t ON f.tenant = t.tenant AND f.inference_id = t.inference_id
WHERE NOT has(t.copies, (word, answered))
SETTINGS insert_null_as_default = 1
