-- The proof that nothing is lost: one row a kind of event, of all tenants and of all time.
--   emitted = stored + parked + dead_lettered + expired + erased + missing - uncounted, and every place is disjoint.
-- emitted        distinct events that emitters say they sent, less those they dropped themselves and counted: the last
--                (greatest sequence) cumulative counter of each emitter. Emitters report every five seconds and when
--                they close, so while they run this trails.
-- stored         distinct events in their table; of feedback, those whose inference is there too
-- parked         feedback whose inference is not there (yet)
-- dead_lettered  distinct events that could not become a row, and did not become one later. One that bears no id is
--                known by its topic, partition, offset and index; a record that could not be taken apart counts as one
--                event, whatever it held.
-- expired,       events that left the tables on purpose, counted in the ledger before they went
-- erased
-- missing        0, or something was lost: counted by an emitter and found nowhere. It is summed over emitters, so that
--                one emitter's surplus never hides another's loss.
-- duplicated     0, or something is counted twice: rows of the *_current views less distinct ids
-- uncounted      found but never counted: emitters that send no counters (a plain Kafka producer), dead letters that
--                name no emitter, and what an emitter sent after its last counter before it was killed
-- unacknowledged emitted and not yet acknowledged: on the way, or lost with the emitter; part of missing until it arrives
WITH
counted AS
(
    SELECT kind AS kind_, emitter AS emitter_,
           toInt64(argMax(emitted, sequence)) - toInt64(argMax(dropped, sequence)) AS sent_,
           greatest(0, sent_ - toInt64(argMax(acknowledged, sequence))) AS unacknowledged_
    FROM emitters
    GROUP BY kind, emitter
),
dead AS
(
    SELECT kind_, any(emitter) AS emitter_, event
    FROM
    (
        SELECT if(topic = 'headrace.inferences', 'inferences', 'feedback') AS kind_,
               JSONExtractString(tryBase64Decode(original), 'emitter') AS emitter,
               ifNull(toString(event_id), format('{}/{}/{}/{}', topic, toString(partition), toString(offset), toString(record_index))) AS event
        FROM dead_letters FINAL
        WHERE (topic = 'headrace.inferences' AND (event_id IS NULL OR assumeNotNull(event_id) NOT IN (SELECT inference_id FROM inferences)))
           OR (topic = 'headrace.feedback' AND (event_id IS NULL OR assumeNotNull(event_id) NOT IN (SELECT feedback_id FROM feedback)))
    )
    GROUP BY kind_, event
),
found AS
(
    SELECT kind_, emitter_, sum(events) AS events_
    FROM
    (
        SELECT 'inferences' AS kind_, toString(emitter) AS emitter_, toInt64(count()) AS events
        FROM inferences FINAL GROUP BY emitter
        UNION ALL
        SELECT 'feedback', toString(emitter), toInt64(count()) FROM feedback FINAL GROUP BY emitter
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
    SELECT 'inferences', 'rows', toInt64(count()) FROM inferences FINAL
    UNION ALL
    SELECT 'feedback', 'rows', toInt64(count()) FROM feedback FINAL
    UNION ALL
    SELECT 'feedback', 'parked', toInt64(count()) FROM feedback_parked
    UNION ALL
    SELECT kind_, 'dead_lettered', toInt64(count()) FROM dead GROUP BY kind_
    UNION ALL
    SELECT toString(kind), toString(what), toInt64(sum(ledger.events)) FROM ledger FINAL GROUP BY kind, what
    UNION ALL
    SELECT 'inferences', 'duplicated', toInt64(count()) - toInt64(uniqExact(tenant, inference_id)) FROM inferences_current
    UNION ALL
    SELECT 'feedback', 'duplicated', toInt64(count()) - toInt64(uniqExact(tenant, feedback_id, revision)) FROM feedback_current
)
SELECT
    kind_ AS kind,
    sumIf(events, place = 'emitted') AS emitted,
    sumIf(events, place = 'rows') - parked AS stored,
    sumIf(events, place = 'parked') AS parked,
    sumIf(events, place = 'dead_lettered') AS dead_lettered,
    sumIf(events, place = 'expired') AS expired,
    sumIf(events, place = 'erased') AS erased,
    greatest(0, sumIf(events, place = 'short') - expired - erased) AS missing,
    sumIf(events, place = 'duplicated') AS duplicated,
    stored + parked + dead_lettered + expired + erased + missing - emitted AS uncounted,
    sumIf(events, place = 'unacknowledged') AS unacknowledged
FROM places
WHERE kind_ IN ('inferences', 'feedback')
GROUP BY kind_
ORDER BY kind_ = 'inferences' DESC
