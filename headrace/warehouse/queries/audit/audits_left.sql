-- Copies in `audit_labels` whose feedback has gone over from one of `ids` to another answer, or whose last revision is no label any
-- more, get no label, and count nowhere. They keep their time, by which readers find all copies, and their place. Repeated, it does nothing.
-- day_numbers, numbers: the same as numbers (days since 1970), which prune the key.
INSERT INTO audit_labels (task, tenant, inference_id, occurred_at, version, arm, input, answered, audit_probability,
                          label, unknown, feedback_id, labelled_at, rater, error, word, place)
WITH
    copies AS
    (
        SELECT * FROM audit_labels FINAL
        WHERE intDiv(toUInt128(inference_id), 104451190814703960694613606400000) IN {day_numbers:Array(UInt128)}
          AND toUInt128(inference_id) IN {numbers:Array(UInt128)} AND inference_id IN {ids:Array(UUID)} AND label != ''
    )
SELECT task, tenant, inference_id, occurred_at, version, arm, input, answered, audit_probability,
       '', true, feedback_id, labelled_at, rater, false, word, place
FROM copies
WHERE (toUInt128(feedback_id), tenant, inference_id) IN
(
    SELECT toUInt128(feedback_id), tenant,
           arrayJoin(arrayConcat(groupUniqArrayArray(arrayFilter(former -> former != inference_id, former_ids)),
                                 argMax(if(source = 'audit' AND signal = 'label' AND label != '', [], [inference_id]), revision)))
    FROM feedback FINAL
    WHERE toUInt128(feedback_id) IN (SELECT toUInt128(feedback_id) FROM copies) AND source NOT IN ('user', 'implicit')
    GROUP BY feedback_id, tenant, key_id
)
