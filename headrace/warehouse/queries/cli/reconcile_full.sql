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
dead_ids AS (SELECT toUInt128(assumeNotNull(event_id)) AS id FROM dead_letters WHERE event_id IS NOT NULL),
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
                (
                    SELECT kind, event_id, tenant, revision, arrayJoin(arrayPushBack(groupUniqArray(emitter), ''))
                    FROM
                    (
                        SELECT 'inferences' AS kind, inference_id AS event_id, tenant, toUInt32(0) AS revision,
                               toString(emitter) AS emitter, true AS came
                        FROM inferences WHERE toUInt128(inference_id) IN (SELECT id FROM dead_ids)
                        UNION ALL
                        SELECT 'inferences', inference_id, tenant, 0, toString(emitter), true
                        FROM expired_inferences WHERE toUInt128(inference_id) IN (SELECT id FROM dead_ids)
                        UNION ALL
                        SELECT 'feedback', feedback_id, tenant, revision, toString(emitter), true
                        FROM feedback WHERE toUInt128(feedback_id) IN (SELECT id FROM dead_ids)
                        UNION ALL
                        SELECT 'feedback', feedback_id, tenant, revision, toString(emitter), true
                        FROM expired WHERE toUInt128(feedback_id) IN (SELECT id FROM dead_ids)
                        UNION ALL
                        SELECT toString(kind), event_id, tenant, revision, toString(emitter), false
                        FROM arrivals WHERE toUInt128(event_id) IN (SELECT id FROM dead_ids)
                    )
                    GROUP BY kind, event_id, tenant, revision
                    HAVING max(came)
                ))
    )
    GROUP BY kind_, emitter_, event
)
SELECT
    kind_ AS kind,
    sum(emitted_) AS emitted,
    sum(rows_) - parked AS stored,
    sum(parked_) AS parked,
    sum(dead_) AS dead_lettered,
    sum(expired_) + sum(expired_elsewhere) AS expired,
    sum(erased_) + sum(erased_elsewhere) AS erased,
    sum(repeated_) AS repeated,
    greatest(0, sum(greatest(0, emitted_ - (rows_ + dead_ + expired_ + erased_ + repeated_)))
                - sum(expired_elsewhere) - sum(erased_elsewhere)) AS missing,
    sum(duplicated_) AS duplicated,
    stored + parked + dead_lettered + expired + erased + repeated + missing - emitted AS uncounted,
    sum(unacknowledged_) AS unacknowledged
FROM
(
    SELECT kind_, emitter_,
           sumIf(events, place = 'emitted') AS emitted_,
           sumIf(events, place = 'rows') AS rows_,
           sumIf(events, place = 'parked') AS parked_,
           sumIf(events, place = 'dead_lettered') AS dead_,
           sumIf(events, place = 'expired') AS expired_,
           sumIf(events, place = 'erased') AS erased_,
           sumIf(events, place = 'repeated') AS repeated_,
           sumIf(events, place = 'duplicated') AS duplicated_,
           sumIf(events, place = 'unacknowledged') AS unacknowledged_,
           sumIf(events, place = 'expired elsewhere') AS expired_elsewhere,
           sumIf(events, place = 'erased elsewhere') AS erased_elsewhere
    FROM
    (
        SELECT toString(kind) AS kind_, emitter AS emitter_, count.1 AS place, count.2 AS events
        FROM
        (
            SELECT kind, emitter, toInt64(argMax(emitted, sequence)) - toInt64(argMax(dropped, sequence)) AS sent,
                   greatest(0, sent - toInt64(argMax(acknowledged, sequence))) AS open
            FROM emitters GROUP BY kind, emitter
        )
        ARRAY JOIN [('emitted', sent), ('unacknowledged', open)] AS count
        UNION ALL
        SELECT 'inferences', toString(emitter), 'rows', toInt64(count()) FROM inferences FINAL
        WHERE (inference_id, tenant) NOT IN (SELECT inference_id, tenant FROM expired_inferences)
        GROUP BY emitter
        UNION ALL
        SELECT 'inferences', toString(emitter), 'expired', toInt64(count()) FROM expired_inferences FINAL GROUP BY emitter
        UNION ALL
        SELECT 'feedback', emitter_, count.1, count.2
        FROM
        (
            SELECT toString(emitter) AS emitter_, toInt64(count()) AS all,
                   toInt64(countIf((tenant, inference_id) NOT IN
                       (SELECT tenant, inference_id FROM inferences
                        WHERE toUInt128(inference_id) IN (SELECT toUInt128(inference_id) FROM feedback)
                        UNION ALL
                        SELECT tenant, inference_id FROM expired_inferences
                        WHERE toUInt128(inference_id) IN (SELECT toUInt128(inference_id) FROM feedback)))) AS waiting
            FROM feedback FINAL
            WHERE (feedback_id, tenant, revision, ground_truth) NOT IN
                (SELECT feedback_id, tenant, revision, ground_truth FROM expired)
            GROUP BY emitter_
        )
        ARRAY JOIN [('rows', all), ('parked', waiting)] AS count
        UNION ALL
        SELECT 'feedback', toString(emitter), 'expired', toInt64(count()) FROM expired FINAL GROUP BY emitter
        UNION ALL
        -- of hour 0: what the ledger knows of no emitter
        SELECT toString(kind), emitter, if(hour = 0, what || ' elsewhere', toString(what)) AS place, toInt64(sum(ledger.events))
        FROM ledger FINAL WHERE NOT itemised GROUP BY kind, emitter, place
        UNION ALL
        SELECT kind_, emitter_, 'dead_lettered', toInt64(count()) FROM dead GROUP BY kind_, emitter_
        UNION ALL
        SELECT kind_, emitter_, 'repeated', toInt64(count()) FROM again GROUP BY kind_, emitter_
        UNION ALL
        SELECT 'inferences', '', 'duplicated', toInt64(sum(copies) - count())
        FROM (SELECT count() AS copies FROM inferences_current GROUP BY tenant, inference_id)
        UNION ALL
        SELECT 'feedback', '', 'duplicated', toInt64(sum(copies) - count())
        FROM (SELECT count() AS copies FROM feedback FINAL GROUP BY tenant, feedback_id, revision, ground_truth)
    )
    WHERE kind_ IN ('inferences', 'feedback')
    GROUP BY kind_, emitter_
)
GROUP BY kind_
ORDER BY kind_ = 'inferences' DESC
-- Groups of a hundred million ids go through the disk.
SETTINGS max_bytes_before_external_group_by = 500000000
