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
    rows AS
    (
        SELECT tenant, inference_id,
               countIf(dataset = {a:String}) > 0 AS in_a, countIf(dataset = {b:String}) > 0 AS in_b,
               countIf(erasure != '') > 0 AS emptied,
               anyIf(toString(split), dataset = {a:String}) AS split_a, anyIf(toString(split), dataset = {b:String}) AS split_b,
               anyIf(toString(label), dataset = {a:String}) AS label_a, anyIf(toString(label), dataset = {b:String}) AS label_b,
               anyIf(toString(source), dataset = {a:String}) AS source_a, anyIf(toString(source), dataset = {b:String}) AS source_b,
               anyIf(text_sha256, dataset = {a:String}) AS text_a, anyIf(text_sha256, dataset = {b:String}) AS text_b,
               anyIf(row_digest, dataset = {a:String}) AS digest_a, anyIf(row_digest, dataset = {b:String}) AS digest_b,
               anyIf(text_digest, dataset = {a:String}) AS words_a, anyIf(text_digest, dataset = {b:String}) AS words_b,
               anyIf(feedback_id, dataset = {b:String}) AS said
        FROM dataset_rows FINAL
        WHERE dataset IN ({a:String}, {b:String})
        GROUP BY tenant, inference_id
        -- rows of format 1 have no digests
        HAVING NOT (in_a AND in_b AND (split_a, label_a, source_a) = (split_b, label_b, source_b)
                    AND (digest_a = digest_b OR '' IN (digest_a, digest_b)))
    )
SELECT
    multiIf(NOT r.in_b, 'out', NOT r.in_a, 'in', r.emptied, 'erased', r.label_a != r.label_b, 'label',
            r.split_a != r.split_b, 'split', r.text_a != r.text_b AND '' NOT IN (r.text_a, r.text_b), 'text', 'other') AS change,
    multiIf(change = 'out', r.split_a, change = 'in', r.split_b, change = 'label', concat(r.label_a, ' -> ', r.label_b),
            change = 'split', concat(r.split_a, ' -> ', r.split_b), '') AS what,
    multiIf(
        change = 'out' AND r.emptied, 'erased',
        change = 'out' AND NOT i.kept, 'absent',
        change = 'out' AND NOT i.consent AND ({require_consent:Bool} OR r.source_a = 'teacher'), 'no_consent',
        change = 'out' AND i.occurred_at < {oldest:DateTime64(3, 'UTC')}, 'too_old',
        change = 'out' AND r.text_a NOT IN ('', i.text_sha256), 'revised',
        change = 'out' AND r.words_a IN (SELECT text_digest FROM dataset_rows WHERE dataset = {b:String} AND text_digest != ''), 'same_text',
        change = 'out', 'left_out',
        change = 'in' AND UUIDv7ToDateTime(r.inference_id, 'UTC') > a_made, 'new_answer',
        change = 'in' AND UUIDv7ToDateTime(r.said, 'UTC') > a_made, 'new_label',
        change = 'in' AND r.words_b IN (SELECT text_digest FROM dataset_rows WHERE dataset = {a:String} AND text_digest != ''), 'same_text',
        change = 'in', 'chosen',
        change = 'erased', '',
        r.source_a = r.source_b, r.source_a, concat(r.source_a, ' -> ', r.source_b)) AS reason,
    count() AS rows,
    arraySort(groupArray(3)(toString(r.inference_id))) AS examples
FROM
(
    SELECT tenant, inference_id, consent, occurred_at, lower(hex(SHA256(input))) AS text_sha256, 1 AS kept
    FROM inferences FINAL
    WHERE toUInt128(inference_id) IN (SELECT toUInt128(inference_id) FROM rows WHERE in_a AND NOT in_b)
) AS i
RIGHT JOIN rows AS r ON i.tenant = r.tenant AND i.inference_id = r.inference_id
GROUP BY change, what, reason
ORDER BY indexOf(['out', 'in', 'label', 'split', 'text', 'other', 'erased'], change), rows DESC, what, reason
