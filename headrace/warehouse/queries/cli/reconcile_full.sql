-- `reconcile` from all of history, whatever passes have settled: one row a kind of event, with the same columns.
-- It reads every id there is; what grows with history is grouped on disk. `headrace reconcile --full` runs it; the two always agree.
WITH
counted AS
(
    SELECT kind AS kind_, emitter AS emitter_,
           toInt64(argMax(emitted, sequence)) - toInt64(argMax(dropped, sequence)) AS sent_,
           greatest(0, sent_ - toInt64(argMax(acknowledged, sequence))) AS unacknowledged_
    FROM emitters
    GROUP BY kind, emitter
),
present AS
(
    SELECT * FROM feedback FINAL
    WHERE (feedback_id, tenant, revision, ground_truth) NOT IN (SELECT feedback_id, tenant, revision, ground_truth FROM expired)
),
dead_ids AS (SELECT toUInt128(assumeNotNull(event_id)) AS id FROM dead_letters WHERE event_id IS NOT NULL),
answers AS
(
    SELECT * FROM inferences FINAL
    WHERE (inference_id, tenant) NOT IN (SELECT inference_id, tenant FROM expired_inferences)
),
dead AS
(
    SELECT kind_, emitter AS emitter_, event
    FROM
    (
        SELECT if(topic = 'headrace.inferences', 'inferences', 'feedback') AS kind_, emitter,
               if(event_id IS NULL,
                  format('{}/{}/{}/{}/{}', topic, toString(partition), toString(offset), toString(record_index), toString(digest)),
                  format('{}/{}/{}', toString(event_id), tenant, if(kind_ = 'feedback', toString(revision), ''))) AS event
        FROM dead_letters FINAL
        WHERE topic IN ('headrace.inferences', 'headrace.feedback', 'headrace.labels') AND multiIf(
            event_id IS NULL,
            (topic, partition, offset, record_index, digest) NOT IN
                (SELECT topic, partition, offset, record_index, digest FROM replays),
            topic = 'headrace.inferences', (assumeNotNull(event_id), tenant, emitter) NOT IN
                (SELECT inference_id, tenant, arrayJoin(['', toString(inferences.emitter)]) FROM inferences
                 WHERE toUInt128(inference_id) IN (SELECT id FROM dead_ids)
                 UNION ALL
                 SELECT inference_id, tenant, arrayJoin(['', toString(expired_inferences.emitter)]) FROM expired_inferences
                 WHERE toUInt128(inference_id) IN (SELECT id FROM dead_ids)),
            (assumeNotNull(event_id), tenant, emitter, revision) NOT IN
                (SELECT feedback_id, tenant, arrayJoin(['', toString(feedback.emitter)]), revision FROM feedback
                 WHERE toUInt128(feedback_id) IN (SELECT id FROM dead_ids)
                 UNION ALL
                 SELECT feedback_id, tenant, arrayJoin(['', toString(expired.emitter)]), revision FROM expired
                 WHERE toUInt128(feedback_id) IN (SELECT id FROM dead_ids)))
    )
    GROUP BY kind_, emitter_, event
),
found AS
(
    SELECT kind_, emitter_, sum(events) AS events_
    FROM
    (
        SELECT 'inferences' AS kind_, toString(emitter) AS emitter_, toInt64(count()) AS events
        FROM answers GROUP BY emitter
        UNION ALL
        SELECT 'inferences', toString(emitter), toInt64(count()) FROM expired_inferences FINAL GROUP BY emitter
        UNION ALL
        SELECT 'feedback', toString(emitter), toInt64(count()) FROM present GROUP BY emitter
        UNION ALL
        SELECT 'feedback', toString(emitter), toInt64(count()) FROM expired FINAL GROUP BY emitter
        UNION ALL
        SELECT toString(kind), emitter, toInt64(sum(ledger.events)) FROM ledger FINAL
        WHERE hour > 0 AND NOT itemised GROUP BY kind, emitter
        UNION ALL
        SELECT kind_, emitter_, toInt64(count()) FROM dead GROUP BY kind_, emitter_
    )
    GROUP BY kind_, emitter_
),
places AS
(
    SELECT kind_, 'emitted' AS place, sum(sent_) AS events FROM counted GROUP BY kind_
    UNION ALL
    SELECT kind_, 'unacknowledged', sum(unacknowledged_) FROM counted GROUP BY kind_
    UNION ALL
    SELECT c.kind_, 'short', sum(greatest(0, c.sent_ - f.events_))
    FROM counted AS c LEFT JOIN found AS f ON f.kind_ = c.kind_ AND f.emitter_ = c.emitter_
    GROUP BY c.kind_
    UNION ALL
    SELECT 'inferences', 'rows', toInt64(count()) FROM answers
    UNION ALL
    SELECT 'inferences', 'expired', toInt64(count()) FROM expired_inferences FINAL
    UNION ALL
    SELECT 'feedback', 'rows', toInt64(count()) FROM present
    UNION ALL
    SELECT 'feedback', 'parked', toInt64(count()) FROM present
    WHERE (tenant, inference_id) NOT IN
        (SELECT tenant, inference_id FROM inferences
         WHERE toUInt128(inference_id) IN (SELECT toUInt128(inference_id) FROM feedback)
         UNION ALL
         SELECT tenant, inference_id FROM expired_inferences
         WHERE toUInt128(inference_id) IN (SELECT toUInt128(inference_id) FROM feedback))
    UNION ALL
    SELECT 'feedback', 'expired', toInt64(count()) FROM expired FINAL
    UNION ALL
    SELECT toString(kind), 'elsewhere', toInt64(sum(ledger.events)) FROM ledger FINAL
    WHERE hour = 0 AND NOT itemised GROUP BY kind
    UNION ALL
    SELECT kind_, 'dead_lettered', toInt64(count()) FROM dead GROUP BY kind_
    UNION ALL
    SELECT toString(kind), toString(what), toInt64(sum(ledger.events)) FROM ledger FINAL WHERE NOT itemised GROUP BY kind, what
    UNION ALL
    SELECT 'inferences', 'duplicated', toInt64(sum(copies) - count())
    FROM (SELECT count() AS copies FROM inferences_current GROUP BY tenant, inference_id)
    UNION ALL
    SELECT 'feedback', 'duplicated', toInt64(sum(copies) - count())
    FROM (SELECT count() AS copies FROM feedback FINAL GROUP BY tenant, feedback_id, revision, ground_truth)
)
SELECT
    kind_ AS kind,
    sumIf(events, place = 'emitted') AS emitted,
    sumIf(events, place = 'rows') - parked AS stored,
    sumIf(events, place = 'parked') AS parked,
    sumIf(events, place = 'dead_lettered') AS dead_lettered,
    sumIf(events, place = 'expired') AS expired,
    sumIf(events, place = 'erased') AS erased,
    greatest(0, sumIf(events, place = 'short') - sumIf(events, place = 'elsewhere')) AS missing,
    sumIf(events, place = 'duplicated') AS duplicated,
    stored + parked + dead_lettered + expired + erased + missing - emitted AS uncounted,
    sumIf(events, place = 'unacknowledged') AS unacknowledged
FROM places
WHERE kind_ IN ('inferences', 'feedback')
GROUP BY kind_
ORDER BY kind_ = 'inferences' DESC
-- Groups of a hundred million ids go through the disk.
SETTINGS max_bytes_before_external_group_by = 500000000
