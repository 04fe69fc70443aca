-- `reconcile` from all of history, whatever passes have settled: one row a kind of event, with the same columns.
-- It reads every id there is; what grows with history is grouped on disk. `headrace reconcile --full` runs it; the two always agree.
WITH
-- what more than one emitter brought, and what was brought in hours in which events expired
(
    SELECT groupUniqArray(id)
    FROM
    (
        SELECT toUInt128(event_id) AS id FROM arrivals GROUP BY id HAVING min(cityHash64(emitter)) < max(cityHash64(emitter))
        UNION ALL
        SELECT toUInt128(event_id) FROM arrivals
        WHERE intDiv(toUInt128(event_id), 4352132950612665028942233600000) IN
            (SELECT DISTINCT intDiv(toUInt128(inference_id), 4352132950612665028942233600000) FROM expired_inferences
             UNION ALL
             SELECT DISTINCT intDiv(toUInt128(feedback_id), 4352132950612665028942233600000) FROM expired)
    )
) AS looked_at,
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
again AS
(
    SELECT kind AS kind_, toString(brought) AS emitter_
    FROM
    (
        SELECT kind, groupUniqArrayIf(emitter, said = 0) AS emitters, argMax(emitter, said) AS counted_under, max(said) AS known
        FROM
        (
            SELECT toString(kind) AS kind, event_id, tenant, revision, ground_truth, emitter, 0 AS said
            FROM arrivals WHERE toUInt128(event_id) IN (SELECT arrayJoin(looked_at))
            UNION ALL
            SELECT 'inferences', inference_id, tenant, 0, false, emitter, 1
            FROM inferences FINAL WHERE toUInt128(inference_id) IN (SELECT arrayJoin(looked_at))
            UNION ALL
            SELECT 'inferences', inference_id, tenant, 0, false, emitter, 2
            FROM expired_inferences FINAL WHERE toUInt128(inference_id) IN (SELECT arrayJoin(looked_at))
            UNION ALL
            SELECT 'feedback', feedback_id, tenant, revision, ground_truth, emitter, 1
            FROM feedback FINAL WHERE toUInt128(feedback_id) IN (SELECT arrayJoin(looked_at))
            UNION ALL
            SELECT 'feedback', feedback_id, tenant, revision, ground_truth, emitter, 2
            FROM expired FINAL WHERE toUInt128(feedback_id) IN (SELECT arrayJoin(looked_at))
        )
        GROUP BY kind, event_id, tenant, revision, ground_truth
        HAVING known > 0
    )
    ARRAY JOIN emitters AS brought
    WHERE brought != counted_under
),
came AS
(
    SELECT 'inferences' AS kind, inference_id AS event_id, tenant, toUInt32(0) AS revision, toString(emitter) AS emitter
    FROM inferences WHERE toUInt128(inference_id) IN (SELECT id FROM dead_ids)
    UNION ALL
    SELECT 'inferences', inference_id, tenant, 0, toString(emitter)
    FROM expired_inferences WHERE toUInt128(inference_id) IN (SELECT id FROM dead_ids)
    UNION ALL
    SELECT 'feedback', feedback_id, tenant, revision, toString(emitter)
    FROM feedback WHERE toUInt128(feedback_id) IN (SELECT id FROM dead_ids)
    UNION ALL
    SELECT 'feedback', feedback_id, tenant, revision, toString(emitter)
    FROM expired WHERE toUInt128(feedback_id) IN (SELECT id FROM dead_ids)
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
        WHERE topic IN ('headrace.inferences', 'headrace.feedback', 'headrace.labels') AND if(
            event_id IS NULL,
            (topic, partition, offset, record_index, digest) NOT IN
                (SELECT topic, partition, offset, record_index, digest FROM replays),
            (kind_, assumeNotNull(event_id), tenant, if(kind_ = 'feedback', revision, 0), emitter) NOT IN
                (SELECT kind, event_id, tenant, revision, arrayJoin(['', emitter]) FROM came)
            AND ((kind_, assumeNotNull(event_id), tenant, if(kind_ = 'feedback', revision, 0), emitter) NOT IN
                    (SELECT toString(kind), event_id, tenant, revision, toString(emitter) FROM arrivals
                     WHERE toUInt128(event_id) IN (SELECT id FROM dead_ids))
                 OR (kind_, assumeNotNull(event_id), tenant, if(kind_ = 'feedback', revision, 0)) NOT IN
                    (SELECT kind, event_id, tenant, revision FROM came)))
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
        UNION ALL
        SELECT kind_, emitter_, toInt64(count()) FROM again GROUP BY kind_, emitter_
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
    SELECT kind_, 'repeated', toInt64(count()) FROM again GROUP BY kind_
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
    sumIf(events, place = 'repeated') AS repeated,
    greatest(0, sumIf(events, place = 'short') - sumIf(events, place = 'elsewhere')) AS missing,
    sumIf(events, place = 'duplicated') AS duplicated,
    stored + parked + dead_lettered + expired + erased + repeated + missing - emitted AS uncounted,
    sumIf(events, place = 'unacknowledged') AS unacknowledged
FROM places
WHERE kind_ IN ('inferences', 'feedback')
GROUP BY kind_
ORDER BY kind_ = 'inferences' DESC
-- Groups of a hundred million ids go through the disk.
SETTINGS max_bytes_before_external_group_by = 500000000
