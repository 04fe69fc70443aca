-- The proof that nothing is lost: one row a kind of event, of all tenants and of all time.
--   emitted = stored + parked + dead_lettered + expired + erased + repeated + missing - uncounted, and every place is disjoint.
-- emitted        distinct events of each emitter, as these say, less those they dropped themselves and counted: the last
--                (greatest sequence) cumulative counter of each emitter. Emitters report every five seconds and when
--                they close, so while they run this trails.
-- stored         distinct events in their table; of feedback, those whose inference is there too
-- parked         feedback whose inference is not there (yet)
-- dead_lettered  distinct events that could not become a row, and did not become one later. One that bears no id is
--                known by its topic, partition, offset and index (after a replay by its new ones); a record that could
--                not be taken apart counts as one event, whatever it held.
-- expired,       events that left the tables on purpose, counted before they went: expired feedback in the table of that
-- erased         name, everything else in the ledger
-- repeated       events that an emitter sent and another one sent too, under which they are in one of the places before: a
--                client's retry that reached another gateway, or the same one after a restart
-- missing        0, or something was lost: counted by an emitter and found nowhere. It is summed over emitters, so that
--                one emitter's surplus never hides another's loss.
-- duplicated     0, or something is counted twice: rows that FINAL leaves less distinct ids
-- uncounted      found but never counted: emitters that send no counters (a plain Kafka producer), dead letters that
--                name no emitter, and what an emitter sent after its last counter before it was killed
-- unacknowledged emitted and not yet acknowledged: on the way, or lost with the emitter; part of missing until it arrives
-- It reads what the last pass of housekeeping settled and what changed since; `reconcile_full` reads all history and
-- gives the same.
WITH by_emitter AS
(
    SELECT kind AS kind_, emitter, sum(emitted) AS emitted_, sum(stored) AS stored_, sum(parked) AS parked_,
           sum(dead_lettered) AS dead_, sum(expired) AS expired_, sum(erased) AS erased_, sum(repeated) AS repeated_,
           sum(missing) AS missing_,
           sum(duplicated) AS duplicated_, max((sequence, sent, acknowledged)) AS counter
    FROM balance GROUP BY kind, emitter
)
SELECT
    kind_ AS kind,
    sum(emitted_) AS emitted,
    sum(stored_) AS stored,
    sum(parked_) AS parked,
    sum(dead_) AS dead_lettered,
    sum(expired_) + sum(expired_elsewhere) AS expired,
    sum(erased_) + sum(erased_elsewhere) AS erased,
    sum(repeated_) AS repeated,
    greatest(0, sum(missing_) - sum(expired_elsewhere) - sum(erased_elsewhere)) AS missing,
    sum(duplicated_) AS duplicated,
    stored + parked + dead_lettered + expired + erased + repeated + missing - emitted AS uncounted,
    sum(greatest(0, counter.2 - counter.3)) AS unacknowledged
FROM
(
    SELECT kind_, emitted_, stored_, parked_, dead_, expired_, erased_, repeated_, missing_, duplicated_, counter,
           toInt64(0) AS expired_elsewhere, toInt64(0) AS erased_elsewhere
    FROM by_emitter
    UNION ALL
    -- what the ledger knows of no emitter and hour
    SELECT toString(kind), 0, 0, 0, 0, 0, 0, 0, 0, 0, (toInt64(-1), toInt64(0), toInt64(0)),
           toInt64(sumIf(events, what = 'expired')), toInt64(sumIf(events, what = 'erased'))
    FROM ledger FINAL WHERE hour = 0 AND NOT itemised GROUP BY kind
    UNION ALL
    SELECT arrayJoin(['inferences', 'feedback']), 0, 0, 0, 0, 0, 0, 0, 0, 0, (toInt64(-1), toInt64(0), toInt64(0)), 0, 0
)
WHERE kind_ IN ('inferences', 'feedback')
GROUP BY kind_
ORDER BY kind_ = 'inferences' DESC
