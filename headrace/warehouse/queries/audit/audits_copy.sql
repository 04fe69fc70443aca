-- Copies blind labels to `audit_labels`, each beside its answer: those of answers of `days`, of `ids` alone where there are any.
-- day_numbers, numbers: the same as numbers (days since 1970), which prune the key; with FINAL the partition prunes nothing.
-- Those that are there stay as they are, for what rests on a copy is counted again where one came. Repeated, it comes to
-- the same rows. The copy that counts is asked, for an answer may be corrected to what it was before.
-- An answer that was corrected to another version or task leaves the former: its copy there gets no label, and counts nowhere.
-- It keeps its time, by which readers find all copies of one task and version.
-- Where a greater word has gone over to another answer (audit/audits_left.sql) the next copy bears it instead of its own, which ends
-- with its feedback's id, and so do those after it.
-- A copy lies where the former lies, for of equal words FINAL takes that of the greater partition; NULL is the column's default.
INSERT INTO audit_labels (task, tenant, inference_id, occurred_at, version, arm, input, answered, audit_probability,
                          label, unknown, feedback_id, labelled_at, rater, error, word, place)
SELECT row.1, f.tenant, f.inference_id, row.6, row.2, f.arm, f.input, f.answered, f.audit_probability,
       row.3, row.4, f.feedback_id, f.labelled_at, f.rater, row.5, row.7, if(empty(t.copies), NULL, t.its_place) AS place
FROM
(
    SELECT * FROM audit_said
    WHERE answered_on IN {days:Array(Date)}
      AND (empty({ids:Array(UUID)})
           OR toUInt128(inference_id) IN {numbers:Array(UInt128)} AND inference_id IN {ids:Array(UUID)})
) AS f
LEFT JOIN
(
    SELECT tenant, inference_id, min(place) AS its_place, groupArray((task, version, label, word, answered, occurred_at,
                                                                            label = '' OR toUInt128(word) != toUInt128(feedback_id))) AS copies
    FROM audit_labels FINAL
    WHERE intDiv(toUInt128(inference_id), 104451190814703960694613606400000) IN {day_numbers:Array(UInt128)}
      AND (empty({ids:Array(UUID)}) OR toUInt128(inference_id) IN {numbers:Array(UInt128)})
    GROUP BY tenant, inference_id
) AS t ON f.tenant = t.tenant AND f.inference_id = t.inference_id
ARRAY JOIN arrayConcat(
    arrayFilter(row -> NOT arrayExists(copy -> (copy.1, copy.2, copy.3, copy.4, copy.5) = (row.1, row.2, row.3, row.7, f.answered), t.copies),
       [(f.task, f.version, f.label, f.unknown, f.error, f.occurred_at,
         arrayMax(arrayPushBack(arrayMap(copy -> if((copy.1, copy.2) = (f.task, f.version) AND copy.7, copy.4, 0), t.copies), f.word)))]),
    arrayMap(copy -> (copy.1, copy.2, '', true, false, copy.6, greatest(copy.4, f.word)),
             arrayFilter(copy -> (copy.1, copy.2) != (f.task, f.version) AND copy.3 != '', t.copies))) AS row
SETTINGS insert_null_as_default = 1
