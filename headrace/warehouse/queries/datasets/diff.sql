-- What changed from data set `a` to data set `b`, by answer: one row a change, what of it, and reason, with at most three of the answers.
--   change: out (a row of `a` alone), in (of `b` alone), label, split, text, other (in both: weight, cluster or what was answered is
--           another), erased (emptied in one)
--   what: the split of a row that went or came, else what it was and what it is
--   reason: out: erased, absent (the answer is not kept any more), no_consent (taken back), too_old, revised (its text changed),
--           same_text (another answer to the same question is in `b`), left_out (curation chose otherwise);
--           in: new_answer and new_label (since `a` was made), same_text (as above, in `a`), chosen (curation chose otherwise);
--           label, split, text, other: whose word the label was and is
WITH
    (SELECT max(at) FROM datasets WHERE dataset = {a:String}) AS a_made,
    -- a row as one number, by which rows that are the same in both are left out before anything is held in memory
    sipHash64(tenant, inference_id, split, label, source, row_digest) AS row_number,
    gone AS
    (
        SELECT tenant, inference_id, split, label, source, erasure, text_sha256, text_digest, row_digest
        FROM dataset_rows FINAL
        WHERE dataset = {a:String} AND row_number NOT IN (SELECT row_number FROM dataset_rows WHERE dataset = {b:String})
    ),
    come AS
    (
        SELECT tenant, inference_id, split, label, source, erasure, text_sha256, text_digest, row_digest, feedback_id
        FROM dataset_rows FINAL
        WHERE dataset = {b:String} AND row_number NOT IN (SELECT row_number FROM dataset_rows WHERE dataset = {a:String})
    ),
    toUUID('00000000-0000-0000-0000-000000000000') AS none
SELECT
    multiIf(y.inference_id = none, 'out', x.inference_id = none, 'in', '' != x.erasure OR '' != y.erasure, 'erased', x.label != y.label, 'label',
            x.split != y.split, 'split', x.text_sha256 != y.text_sha256 AND '' NOT IN (x.text_sha256, y.text_sha256), 'text', 'other') AS change,
    multiIf(change = 'out', toString(x.split), change = 'in', toString(y.split), change = 'label', concat(x.label, ' -> ', y.label),
            change = 'split', concat(x.split, ' -> ', y.split), '') AS what,
    multiIf(
        change = 'out' AND x.erasure != '', 'erased',
        change = 'out' AND NOT i.kept, 'absent',
        change = 'out' AND NOT i.consent AND ({require_consent:Bool} OR x.source = 'teacher'), 'no_consent',
        change = 'out' AND i.occurred_at < {oldest:DateTime64(3, 'UTC')}, 'too_old',
        change = 'out' AND x.text_sha256 NOT IN ('', i.text_sha256), 'revised',
        change = 'out' AND x.text_digest IN (SELECT text_digest FROM dataset_rows WHERE dataset = {b:String} AND text_digest != ''), 'same_text',
        change = 'out', 'left_out',
        change = 'in' AND UUIDv7ToDateTime(y.inference_id, 'UTC') > a_made, 'new_answer',
        change = 'in' AND UUIDv7ToDateTime(y.feedback_id, 'UTC') > a_made, 'new_label',
        change = 'in' AND y.text_digest IN (SELECT text_digest FROM dataset_rows WHERE dataset = {a:String} AND text_digest != ''), 'same_text',
        change = 'in', 'chosen',
        change = 'erased', '',
        x.source = y.source, toString(x.source), concat(x.source, ' -> ', y.source)) AS reason,
    count() AS rows,
    arraySort(groupArray(3)(toString(if(change = 'in', y.inference_id, x.inference_id)))) AS examples
FROM gone AS x
FULL JOIN come AS y ON x.tenant = y.tenant AND x.inference_id = y.inference_id
LEFT JOIN
(
    SELECT tenant, inference_id, consent, occurred_at, lower(hex(SHA256(input))) AS text_sha256, 1 AS kept
    FROM inferences FINAL
    WHERE toUInt128(inference_id) IN
          (SELECT toUInt128(inference_id) FROM dataset_rows
           WHERE dataset = {a:String} AND (toUInt128(inference_id), tenant) NOT IN
                 (SELECT toUInt128(inference_id), tenant FROM dataset_rows WHERE dataset = {b:String}))
) AS i ON x.tenant = i.tenant AND x.inference_id = i.inference_id
WHERE x.inference_id = none OR y.inference_id = none
   -- rows of format 1 have no digests
   OR (x.split, x.label, x.source) != (y.split, y.label, y.source) OR '' NOT IN (x.row_digest, y.row_digest)
GROUP BY change, what, reason
ORDER BY indexOf(['out', 'in', 'label', 'split', 'text', 'other', 'erased'], change), rows DESC, what, reason
