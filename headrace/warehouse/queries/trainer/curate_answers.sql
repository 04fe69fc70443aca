-- One row an answer that users saw and anyone said anything about: what was asked and answered, what was said in
-- which words, the settled label with its rank (0: none) and the blind base-audit label (empty: none); and who asked,
-- and which API keys brought the answer, the sign of satisfaction, the complaints and the settled label.
-- Of users' signs and corrections those count that the answer's own key brought, or else those of the key that spoke first,
-- and of these the newest: what a key says of an answer takes no other key's word away.
-- Older versions stored a thumb of 0, which is down, and ratings of unknown ranges: what is not 1 to 5 says nothing.
-- text: empty where `with_texts` is false, which has text_digest, the name of its normal form, instead.
-- truncated: the question or the answer is not whole, as an event's text or an exporter's attribute may be only so long.
-- What an answer says that was cut is not known for certain, and who reviews it reads a part of it.
-- The columns are the fields of trainer/curate/rows.py's AnswerRow, in their order.
-- Curation turns these rows into a data set and counts every row that it leaves out.
WITH
    arraySort(sign -> (sign.key != i.key_id, sign.arrived), s.corrections)[1].key AS correcting_key,
    arrayReverseSort(sign -> (sign.key = correcting_key, sign.word), s.corrections)[1] AS correction,
    g.rank = 2 AND notEmpty(s.corrections) AS corrected
SELECT
    i.tenant AS tenant,
    i.inference_id AS inference_id,
    i.occurred_at AS occurred_at,
    i.version AS version,
    i.input AS text,
    i.label AS answered,
    i.user_ref AS user_ref,
    i.session_id AS session_id,
    i.key_id AS key_id,
    i.consent AS consent,
    i.truncated AS truncated,
    i.audit_probability AS audit_probability,
    s.volunteered AS volunteered,
    s.satisfied AS satisfied,
    s.dissatisfied AS dissatisfied,
    s.complaint_keys AS complaint_keys,
    s.judge_routing AS judge_routing,
    s.reviewer_routing AS reviewer_routing,
    arrayReverseSort(sign -> (sign.key = satisfied_key, sign.word), s.thanks)[1].id AS satisfied_id,
    arraySort(sign -> (sign.key != i.key_id, sign.arrived), s.thanks)[1].key AS satisfied_key,
    if(corrected, correction.label, g.label) AS settled_label,
    g.source AS settled_source,
    if(corrected, correction.id, g.feedback_id) AS settled_id,
    if(corrected, correction.key, toString(g.key_id)) AS settled_key,
    if(g.rank >= 2, g.rank, 0) AS settled_rank,
    a.label AS audit_label,
    a.feedback_id AS audit_id,
    i.text_digest AS text_digest
FROM
(
    SELECT tenant, inference_id, occurred_at, version, if({with_texts:Bool}, input, '') AS input, label, user_ref, session_id,
           key_id, consent, JSONHas(extra, 'truncated', 'input') OR JSONHas(extra, 'truncated', 'output') AS truncated,
           audit_probability,
           if({with_texts:Bool}, '', digest) AS text_digest
    FROM questions_normal(task={task:String})
) AS i
INNER JOIN
(
    WITH
        source IN ('user', 'implicit') AS from_user,
        from_user AND (signal = 'thumb' AND value > 0 OR signal = 'rating' AND value BETWEEN 4 AND 5
                       OR signal = 'resolution' AND value >= 1) AS up,
        from_user AND (signal = 'thumb' AND value <= 0 OR signal = 'rating' AND value BETWEEN 1 AND 2
                       OR signal = 'resolution' AND value < 1
                       OR signal IN ('correction', 'rephrase', 'reroute', 'escalation', 'abandon')) AS down,
        CAST((toString(key_id), feedback_id, toString(label), ingested_at, (revision, occurred_at, toUInt128(feedback_id))),
             'Tuple(key String, id UUID, label String, arrived DateTime64(3, ''UTC''),
                    word Tuple(UInt32, DateTime64(6, ''UTC''), UInt128))') AS sign
    SELECT
        tenant,
        inference_id,
        countIf(from_user) > 0 AS volunteered,
        countIf(ifNull(up, 0)) > 0 AS satisfied,
        countIf(ifNull(down, 0)) > 0 AS dissatisfied,
        groupUniqArrayIf(toString(key_id), ifNull(down, 0)) AS complaint_keys,
        countIf(source = 'judge' AND blame = 'routing') > 0 AS judge_routing,
        countIf(source = 'reviewer' AND blame = 'routing') > 0 AS reviewer_routing,
        groupArrayIf(sign, ifNull(up, 0)) AS thanks,
        groupArrayIf(sign, source = 'user' AND signal IN ('correction', 'reroute') AND label != '') AS corrections
    FROM feedback_current
    GROUP BY tenant, inference_id
) AS s ON i.tenant = s.tenant AND i.inference_id = s.inference_id
LEFT JOIN
(
    SELECT tenant, inference_id, label, source, feedback_id, key_id, rank FROM ground_truth_current WHERE rank >= 2
) AS g
    ON i.tenant = g.tenant AND i.inference_id = g.inference_id
LEFT JOIN (SELECT tenant, inference_id, label, feedback_id FROM audit_current WHERE task = {task:String}) AS a
    ON i.tenant = a.tenant AND i.inference_id = a.inference_id
ORDER BY toUInt128(i.inference_id), i.tenant
