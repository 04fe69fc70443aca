-- Copies blind labels to `audit_labels`, each beside its answer: those of answers of `days`, of `ids` alone where there are any
-- (`numbers`: the same as numbers).
-- Those that are there stay as they are, for what rests on a copy is counted again where one came. Repeated, it comes to
-- the same rows. The copy that counts is asked, for an answer may be corrected to what it was before.
-- An answer that was corrected to another version or task leaves the former: its copy there gets no label, and counts nowhere.
-- A copy lies where the former lies, for of equal words FINAL takes that of the greater partition; NULL is the column's default.
-- `places` are the partitions in which there may be one.
INSERT INTO audit_labels (task, tenant, inference_id, occurred_at, version, arm, input, answered, audit_probability,
                          label, unknown, feedback_id, labelled_at, rater, error, word, place)
SELECT row.1, f.tenant, f.inference_id, f.occurred_at, row.2, f.arm, f.input, f.answered, f.audit_probability,
       row.3, row.4, f.feedback_id, f.labelled_at, f.rater, row.5, f.word, if(empty(t.copies), NULL, t.its_place) AS place
FROM
(
    SELECT * FROM audit_said
    WHERE answered_on IN {days:Array(Date)}
      AND (empty({ids:Array(UUID)})
           OR toUInt128(inference_id) IN {numbers:Array(UInt128)} AND inference_id IN {ids:Array(UUID)})
) AS f
LEFT JOIN
(
    SELECT tenant, inference_id, min(place) AS its_place, groupArray((task, version, label, word, answered)) AS copies
    FROM audit_labels FINAL
    WHERE place IN {places:Array(UInt32)} AND toDate(UUIDv7ToDateTime(inference_id, 'UTC')) IN {days:Array(Date)}
      AND (empty({ids:Array(UUID)}) OR toUInt128(inference_id) IN {numbers:Array(UInt128)})
    GROUP BY tenant, inference_id
) AS t ON f.tenant = t.tenant AND f.inference_id = t.inference_id
ARRAY JOIN arrayConcat(
    if(has(t.copies, (f.task, f.version, f.label, f.word, f.answered)), [], [(f.task, f.version, f.label, f.unknown, f.error)]),
    arrayMap(copy -> (copy.1, copy.2, '', true, false),
             arrayFilter(copy -> (copy.1, copy.2) != (f.task, f.version) AND copy.3 != '', t.copies))) AS row
SETTINGS insert_null_as_default = 1
