-- Where every event is: one row a kind. stored, parked, dead_lettered, expired, erased and repeated are disjoint; emitted is what
-- the emitters say they sent (they report every few seconds, so it trails), 0 where none of them counts.
-- `headrace reconcile` proves the balance; this is the look from afar.
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
    SELECT multiIf(topic = {inferences:String}, 'inferences', topic IN {feedback:Array(String)}, 'feedback', 'control messages'),
           'dead_lettered', toInt64(count())
    FROM dead_letters FINAL GROUP BY topic
    UNION ALL
    SELECT kind, what, toInt64(sum(ledger.events)) FROM ledger FINAL GROUP BY kind, what
    UNION ALL
    SELECT kind, 'repeated', sum(repeated) FROM reconciliations FINAL GROUP BY kind
    UNION ALL
    SELECT kind, 'emitted', toInt64(sum(newest))
    FROM (SELECT kind, argMax(emitted, sequence) AS newest FROM emitters GROUP BY kind, emitter) GROUP BY kind
)
GROUP BY kind
ORDER BY kind = 'inferences' DESC, kind
