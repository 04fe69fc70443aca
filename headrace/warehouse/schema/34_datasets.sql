-- The rows of one data set, each with its text as far as that may be used now: `require_consent`, `oldest` and `tenant` are what the
-- plan says of privacy. One row an answer. The answers stream past the rows, which are what is held in memory.
--   occurred_at: when it was answered (UTC); 1970 where the answer is not kept any more
--   hole: why the row has no text: erased; absent (the answer is not kept any more), no_consent (taken back, or never said where
--         the label is the incumbent's own), too_old (before `oldest`), other_tenant (not `tenant`, where that is not empty),
--         changed (its emitter revised it: it is not what trained); empty where it has one
--   text: the question; empty where there is a hole
CREATE OR REPLACE VIEW dataset_texts AS
SELECT
    d.split AS split, d.tenant AS tenant, d.inference_id AS inference_id, d.feedback_id AS feedback_id, d.source AS source,
    d.rank AS rank, d.label AS label, d.answered AS answered, d.version AS version, d.weight AS weight, d.cluster AS cluster,
    d.text_digest AS text_digest, d.text_sha256 AS text_sha256, d.row_digest AS row_digest, d.erased_at AS erased_at,
    d.erasure AS erasure, i.occurred_at AS occurred_at,
    multiIf(d.erasure != '', 'erased',
            NOT i.kept, 'absent',
            {tenant:String} NOT IN ('', d.tenant), 'other_tenant',
            NOT i.consent AND ({require_consent:Bool} OR d.source = 'teacher'), 'no_consent',
            i.occurred_at < {oldest:DateTime64(3, 'UTC')}, 'too_old',
            d.text_sha256 NOT IN ('', i.text_sha256), 'changed', '') AS hole,
    if(hole = '', i.input, '') AS text
FROM
(
    SELECT tenant, inference_id, input, consent, occurred_at, lower(hex(SHA256(input))) AS text_sha256, 1 AS kept
    FROM inferences FINAL
    WHERE toUInt128(inference_id) IN (SELECT toUInt128(inference_id) FROM dataset_rows WHERE dataset = {dataset:String})
) AS i
RIGHT JOIN (SELECT * FROM dataset_rows FINAL WHERE dataset = {dataset:String}) AS d
    ON i.tenant = d.tenant AND i.inference_id = d.inference_id;
