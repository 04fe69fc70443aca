-- Where every event is: one row a kind. stored, parked, dead_lettered, expired, erased and repeated are disjoint; emitted is what
-- the emitters say they sent and did not drop (they report every few seconds, so it trails), 0 where none of them counts. A dead letter
-- that became a row, or was sent again and bears no id, is none any more, as in the view `balance`.
-- `headrace reconcile` proves the balance; this is the look from afar.
WITH dead_ids AS (SELECT toUInt128(assumeNotNull(event_id)) FROM dead_letters WHERE event_id IS NOT NULL)
SELECT kind,
       sumIf(events, place = 'rows') - sumIf(events, place = 'parked') AS stored,
       sumIf(events, place = 'parked') AS parked,
       sumIf(events, place = 'dead_lettered') AS dead_lettered,
       sumIf(events, place = 'expired') AS expired,
       sumIf(events, place = 'erased') AS erased,
       sumIf(events, place = 'repeated') AS repeated,
       sumIf(events, place = 'emitted') AS emitted
FROM
(
    SELECT 'inferences' AS kind, 'rows' AS place, toInt64(count()) AS events FROM inferences FINAL
    UNION ALL
    SELECT 'feedback', 'rows', toInt64(count()) FROM feedback FINAL
    UNION ALL
    SELECT 'feedback', 'parked', toInt64(count()) FROM parked_now
    UNION ALL
    SELECT kind, 'dead_lettered', toInt64(uniqExact(event))
    FROM
    (
        SELECT multiIf(topic = {inferences:String}, 'inferences', topic IN {feedback:Array(String)}, 'feedback', 'control messages') AS kind,
               if(event_id IS NULL, toString((topic, partition, offset, record_index, digest)),
                  toString((event_id, tenant, if(kind = 'feedback', revision, 0)))) AS event
        FROM dead_letters FINAL
        WHERE if(event_id IS NULL,
            (topic, partition, offset, record_index, digest) NOT IN (SELECT topic, partition, offset, record_index, digest FROM replays),
            -- under another emitter's id it was refused, and that row is not it
            (kind, event_id, tenant, if(kind = 'feedback', revision, 0), emitter) NOT IN
            (
                SELECT 'inferences', toNullable(inference_id), toString(tenant), toUInt32(0), arrayJoin(['', toString(emitter)])
                FROM inferences WHERE toUInt128(inference_id) IN dead_ids
                UNION ALL
                SELECT 'inferences', inference_id, tenant, 0, arrayJoin(['', toString(emitter)])
                FROM expired_inferences WHERE toUInt128(inference_id) IN dead_ids
                UNION ALL
                SELECT 'feedback', feedback_id, tenant, revision, arrayJoin(['', toString(emitter)])
                FROM feedback WHERE toUInt128(feedback_id) IN dead_ids
                UNION ALL
                SELECT 'feedback', feedback_id, tenant, revision, arrayJoin(['', toString(emitter)])
                FROM expired WHERE toUInt128(feedback_id) IN dead_ids
                UNION ALL
                SELECT kind, event_id, tenant, revision, toString(emitter) FROM arrivals WHERE toUInt128(event_id) IN dead_ids
            ))
    )
    GROUP BY kind
    UNION ALL
    SELECT kind, what, toInt64(sum(ledger.events)) FROM ledger FINAL GROUP BY kind, what
    UNION ALL
    SELECT kind, 'repeated', sum(repeated) FROM reconciliations FINAL GROUP BY kind
    UNION ALL
    SELECT kind, 'emitted', toInt64(sum(newest))
    FROM (SELECT kind, argMax(toInt64(emitted) - toInt64(dropped), sequence) AS newest FROM emitters GROUP BY kind, emitter) GROUP BY kind
)
GROUP BY kind
ORDER BY kind = 'inferences' DESC, kind
