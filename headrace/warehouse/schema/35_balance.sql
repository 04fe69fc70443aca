-- The balance as it is now: what the last pass of housekeeping settled, and what changed since computed anew. Without
-- any pass everything is computed anew, so the answer is always the whole truth; passes only make it cheap.
-- 4352132950612665028942233600000 is an hour in milliseconds times 2^80: a UUIDv7 divided by it is the hour of its time,
-- and the primary keys are pruned by it.

-- Since when rows count as changed. A row's ingested_at is taken when its insert begins; an insert ends within minutes.
--   since: what was ingested from this time on may have changed the balance (UTC)
CREATE OR REPLACE VIEW balance_tail AS
-- a pass of later than now ran while the warehouse's clock was ahead
SELECT greatest(maxIf(until, until <= now64(3)) - INTERVAL 10 MINUTE, toDateTime64('2000-01-01 00:00:00', 3, 'UTC')) AS since
FROM balance_passes;

-- Feedback whose inference is not there (yet), as ids: one row a feedback and revision. What was parked at the last pass
-- is compared with newer inferences; newer feedback with all of them, by id.
CREATE OR REPLACE VIEW parked_now AS
WITH (SELECT since FROM balance_tail) AS tail
SELECT feedback_id, tenant, revision, ground_truth, answer AS inference_id, resolution AS resolved, emitter
FROM
(
    SELECT feedback_id, tenant, revision, ground_truth, argMax(inference_id, resolved) AS answer, max(resolved) AS resolution,
           argMax(emitter, resolved) AS emitter
    FROM
    (
        SELECT feedback_id, tenant, revision, ground_truth, inference_id, resolved, emitter FROM parked FINAL
        UNION ALL
        SELECT feedback_id, tenant, revision, ground_truth, inference_id, resolved, emitter FROM feedback WHERE ingested_at >= tail
    )
    GROUP BY feedback_id, tenant, revision, ground_truth
)
WHERE (tenant, answer) NOT IN
    (
        SELECT tenant, inference_id FROM inferences
        WHERE ingested_at >= tail AND toUInt128(inference_id) IN (SELECT toUInt128(inference_id) FROM parked FINAL)
        UNION ALL
        SELECT tenant, inference_id FROM inferences
        WHERE toUInt128(inference_id) IN (SELECT toUInt128(inference_id) FROM feedback WHERE ingested_at >= tail)
        UNION ALL
        -- kept no longer, but it was there
        SELECT tenant, inference_id FROM expired_inferences
        WHERE toUInt128(inference_id) IN
              (SELECT toUInt128(inference_id) FROM feedback WHERE ingested_at >= tail
               UNION ALL SELECT toUInt128(inference_id) FROM parked FINAL)
    )
  AND (toUInt128(feedback_id), tenant, revision, ground_truth) NOT IN
    (
        SELECT toUInt128(feedback_id), tenant, revision, ground_truth FROM expired WHERE expired_at >= tail
        UNION ALL
        SELECT toUInt128(feedback_id), tenant, revision, ground_truth FROM expired
        WHERE toUInt128(feedback_id) IN (SELECT toUInt128(feedback_id) FROM feedback WHERE ingested_at >= tail)
    );

-- Feedback that `parked` shows as waiting although its inference is there: no pass has seen it come, as where a clock was wrong. Of
-- feedback whose id is of a time before `horizon_ms` (milliseconds since 1970); both tables are asked by ids.
CREATE OR REPLACE VIEW parked_answered AS
WITH due AS
(
    SELECT toUInt128(feedback_id) AS id FROM parked FINAL WHERE id < bitShiftLeft(toUInt128({horizon_ms:Int64}), 80)
)
SELECT feedback_id, tenant, revision, ground_truth, inference_id, resolved, emitter, known_at
FROM parked FINAL
WHERE toUInt128(feedback_id) < bitShiftLeft(toUInt128({horizon_ms:Int64}), 80)
  AND (toUInt128(feedback_id), tenant, revision, ground_truth) IN
    (
        SELECT toUInt128(feedback_id), tenant, revision, ground_truth FROM feedback
        WHERE toUInt128(feedback_id) IN (SELECT id FROM due)
          AND (tenant, inference_id) IN
            (
                SELECT tenant, inference_id FROM inferences
                WHERE toUInt128(inference_id) IN
                      (SELECT toUInt128(inference_id) FROM feedback WHERE toUInt128(feedback_id) IN (SELECT id FROM due))
            )
    );

-- Feedback whose inference has not arrived (yet): its id is not there, or nothing that its reference names.
CREATE OR REPLACE VIEW feedback_parked AS
SELECT f.* FROM feedback AS f FINAL
WHERE (toUInt128(f.feedback_id), f.tenant, f.revision, f.ground_truth) IN
      (SELECT toUInt128(feedback_id), tenant, revision, ground_truth FROM parked_now);

-- The hours whose balance may have changed since the last pass, as hours since 1970.
--   kind: inferences or feedback
--   hour: hour of the events' ids, as hours since 1970
CREATE OR REPLACE VIEW balance_touched AS
WITH (SELECT since FROM balance_tail) AS tail
SELECT DISTINCT kind, hour
FROM
(
    SELECT 'inferences' AS kind, intDiv(toUInt128(inference_id), 4352132950612665028942233600000) AS hour
    FROM inferences WHERE ingested_at >= tail
    UNION ALL
    SELECT 'feedback', intDiv(toUInt128(feedback_id), 4352132950612665028942233600000)
    FROM feedback WHERE ingested_at >= tail
    UNION ALL
    -- a retry that another emitter's row outlived
    SELECT toString(kind), intDiv(toUInt128(event_id), 4352132950612665028942233600000)
    FROM arrivals WHERE ingested_at >= tail
    UNION ALL
    SELECT 'feedback', intDiv(toUInt128(feedback_id), 4352132950612665028942233600000)
    FROM expired WHERE expired_at >= tail
    UNION ALL
    SELECT 'inferences', intDiv(toUInt128(inference_id), 4352132950612665028942233600000)
    FROM expired_inferences WHERE expired_at >= tail
    UNION ALL
    SELECT 'feedback', intDiv(toUInt128(feedback_id), 4352132950612665028942233600000)
    FROM parked
    WHERE known_at >= tail OR (tenant, inference_id) IN
        (SELECT tenant, inference_id FROM inferences
         WHERE ingested_at >= tail AND toUInt128(inference_id) IN (SELECT toUInt128(inference_id) FROM parked FINAL))
    UNION ALL
    SELECT if(topic = 'headrace.inferences', 'inferences', 'feedback'), toUInt128(intDiv(toUnixTimestamp(hour), 3600))
    FROM dead_letters WHERE ingested_at >= tail AND topic IN ('headrace.inferences', 'headrace.feedback', 'headrace.labels')
    UNION ALL
    SELECT if(topic = 'headrace.inferences', 'inferences', 'feedback'), toUInt128(0) FROM replays WHERE at >= tail
    UNION ALL
    SELECT toString(kind), toUInt128(intDiv(toUnixTimestamp(hour), 3600)) FROM ledger WHERE ingested_at >= tail AND hour > 0
);

-- What an emitter brought in the touched hours and another one brought too, under which it is counted: as a row, or as expired.
-- What has no row and did not expire is not in it, so that a loss shows. One row an emitter and event.
--   kind: inferences or feedback
--   emitter: which program sent it, too
--   hour: hour of the event's id, as hours since 1970
CREATE OR REPLACE VIEW events_repeated AS
WITH
    (SELECT groupArray((kind, hour)) FROM balance_touched) AS touched,
    inference_hours AS (SELECT arrayJoin(arrayFilter(one -> one.1 = 'inferences', touched)).2 AS hour),
    feedback_hours AS (SELECT arrayJoin(arrayFilter(one -> one.1 = 'feedback', touched)).2 AS hour),
    -- Ids that more than one emitter brought, and those of events that expired under another emitter than brought them. What expired by
    -- retention is many: hashes tell what has left with it, or is about to. What was parked is few: its ids are asked for.
    (
        SELECT groupUniqArray(id)
        FROM
        (
            SELECT toUInt128(event_id) AS id FROM arrivals
            WHERE intDiv(toUInt128(event_id), 4352132950612665028942233600000) IN (SELECT arrayJoin(touched).2)
            GROUP BY toUInt128(event_id) HAVING min(cityHash64(emitter)) < max(cityHash64(emitter))
            UNION ALL
            SELECT toUInt128(event_id) AS id FROM arrivals
            WHERE kind = 'inferences' AND intDiv(toUInt128(event_id), 4352132950612665028942233600000) IN
                (SELECT intDiv(toUInt128(inference_id), 4352132950612665028942233600000) AS hour FROM expired_inferences
                 WHERE hour IN inference_hours)
              AND cityHash64(event_id) + 3 * cityHash64(tenant) + 5 * cityHash64(emitter) NOT IN
                (SELECT cityHash64(inference_id) + 3 * cityHash64(tenant) + 5 * cityHash64(emitter) FROM expired_inferences
                 WHERE intDiv(toUInt128(inference_id), 4352132950612665028942233600000) IN inference_hours)
            UNION ALL
            SELECT toUInt128(event_id) AS id FROM arrivals
            WHERE kind = 'feedback' AND intDiv(toUInt128(event_id), 4352132950612665028942233600000) IN
                (SELECT intDiv(toUInt128(feedback_id), 4352132950612665028942233600000) AS hour FROM expired
                 WHERE why != 'parked' AND hour IN feedback_hours)
              AND cityHash64(event_id, tenant, revision, ground_truth, emitter) NOT IN
                (SELECT cityHash64(feedback_id, tenant, revision, ground_truth, emitter) FROM expired
                 WHERE why != 'parked' AND intDiv(toUInt128(feedback_id), 4352132950612665028942233600000) IN feedback_hours)
            UNION ALL
            SELECT toUInt128(event_id) AS id FROM arrivals
            WHERE toUInt128(event_id) IN
                (SELECT toUInt128(feedback_id) FROM expired
                 WHERE why = 'parked' AND intDiv(toUInt128(feedback_id), 4352132950612665028942233600000) IN feedback_hours)
        )
    ) AS looked_at
SELECT DISTINCT toString(kind) AS kind, toString(brought) AS emitter,
       intDiv(toUInt128(event_id), 4352132950612665028942233600000) AS hour, event_id, tenant, revision, ground_truth
FROM
(
    -- expired says more than the row does, which leaves
    SELECT kind, event_id, tenant, revision, ground_truth, groupUniqArrayIf(emitter, said = 0) AS emitters,
           argMax(emitter, said) AS counted, max(said) AS known
    FROM
    (
        SELECT kind, event_id, tenant, revision, ground_truth, emitter, 0 AS said
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
WHERE brought != counted AND (kind, hour) IN (SELECT arrayJoin(touched));

-- What could not become a row in the touched hours, and did not become one later: one row an event.
--   kind: inferences or feedback
--   emitter: which program sent it; empty where that cannot be read
--   hour: hour of the event's id, as hours since 1970
--   event: its id, tenant and revision; of what bears no id, where it stands in its topic
CREATE OR REPLACE VIEW events_dead_lettered AS
WITH
    (SELECT groupArray((kind, hour)) FROM balance_touched) AS touched,
    dead_ids AS
    (
        SELECT toUInt128(assumeNotNull(event_id)) AS id FROM dead_letters
        WHERE event_id IS NOT NULL AND hour IN (SELECT toDateTime(arrayJoin(touched).2 * 3600, 'UTC'))
    )
SELECT kind, emitter, hour, event
FROM
(
    SELECT if(topic = 'headrace.inferences', 'inferences', 'feedback') AS kind, emitter,
           toUInt128(intDiv(toUnixTimestamp(hour), 3600)) AS hour,
           if(event_id IS NULL,
              format('{}/{}/{}/{}/{}', topic, toString(partition), toString(offset), toString(record_index), toString(digest)),
              format('{}/{}/{}', toString(event_id), tenant, if(kind = 'feedback', toString(revision), ''))) AS event,
           event_id, assumeNotNull(event_id) AS id, tenant, if(kind = 'feedback', revision, 0) AS number,
           topic, partition, offset, record_index, digest
    FROM dead_letters FINAL
    WHERE topic IN ('headrace.inferences', 'headrace.feedback', 'headrace.labels')
      AND dead_letters.hour IN (SELECT toDateTime(arrayJoin(touched).2 * 3600, 'UTC'))
)
WHERE (kind, hour) IN (SELECT arrayJoin(touched))
  AND if(event_id IS NULL,
    (topic, partition, offset, record_index, digest) NOT IN
        (SELECT topic, partition, offset, record_index, digest FROM replays),
    -- An event became a row where its emitter's row is there, or was before another's took its place: under another's id it
    -- was refused, and that row is not it. Whose emitter cannot be read is found by its id alone.
    (kind, id, tenant, number, emitter) NOT IN
        (
            SELECT kind, event_id, tenant, revision, arrayJoin(arrayPushBack(groupUniqArray(emitter), ''))
            FROM
            (
                SELECT 'inferences' AS kind, inference_id AS event_id, tenant, toUInt32(0) AS revision, toString(emitter) AS emitter,
                       true AS came
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
GROUP BY kind, emitter, hour, event;

-- Where the events of the touched hours are: one row an emitter, hour and place.
--   kind: inferences or feedback
--   emitter: which program sent them; empty for what belongs to none
--   hour: hour of the events' ids, as hours since 1970
--   place: rows, parked (of these), dead_lettered, expired, erased, repeated (counted under another emitter) or duplicated
--   events: how many
CREATE OR REPLACE VIEW balance_places AS
WITH
    (SELECT groupArray((kind, hour)) FROM balance_touched) AS touched,
    inference_hours AS (SELECT arrayJoin(arrayFilter(one -> one.1 = 'inferences', touched)).2 AS hour),
    feedback_hours AS (SELECT arrayJoin(arrayFilter(one -> one.1 = 'feedback', touched)).2 AS hour)
SELECT 'inferences' AS kind, toString(emitter) AS emitter,
       intDiv(toUInt128(inference_id), 4352132950612665028942233600000) AS hour, 'rows' AS place, toInt64(count()) AS events
FROM inferences FINAL
WHERE hour IN inference_hours
  AND (toUInt128(inference_id), tenant) NOT IN
      (SELECT toUInt128(inference_id), tenant FROM expired_inferences
       WHERE intDiv(toUInt128(inference_id), 4352132950612665028942233600000) IN inference_hours)
GROUP BY emitter, hour
UNION ALL
SELECT 'inferences', toString(emitter), intDiv(toUInt128(inference_id), 4352132950612665028942233600000) AS hour, 'expired',
       toInt64(count())
FROM expired_inferences FINAL WHERE hour IN inference_hours GROUP BY emitter, hour
UNION ALL
SELECT 'inferences', '', intDiv(id, 4352132950612665028942233600000) AS hour, 'duplicated', toInt64(sum(further))
FROM
(
    SELECT toUInt128(inference_id) AS id, count() - 1 AS further FROM inferences_current
    WHERE intDiv(toUInt128(inference_id), 4352132950612665028942233600000) IN inference_hours
    GROUP BY toUInt128(inference_id), tenant HAVING further > 0
)
GROUP BY hour
UNION ALL
SELECT 'feedback', '', intDiv(id, 4352132950612665028942233600000) AS hour, 'duplicated', toInt64(sum(further))
FROM
(
    SELECT toUInt128(feedback_id) AS id, count() - 1 AS further FROM feedback FINAL
    WHERE intDiv(toUInt128(feedback_id), 4352132950612665028942233600000) IN feedback_hours
    GROUP BY toUInt128(feedback_id), tenant, revision, ground_truth HAVING further > 0
)
GROUP BY hour
UNION ALL
SELECT 'feedback', toString(emitter), intDiv(toUInt128(feedback_id), 4352132950612665028942233600000) AS hour, 'rows',
       toInt64(count())
FROM feedback FINAL
WHERE hour IN feedback_hours
  AND (toUInt128(feedback_id), tenant, revision, ground_truth) NOT IN
      (SELECT toUInt128(feedback_id), tenant, revision, ground_truth FROM expired
       WHERE intDiv(toUInt128(feedback_id), 4352132950612665028942233600000) IN feedback_hours)
GROUP BY emitter, hour
UNION ALL
SELECT 'feedback', toString(emitter), intDiv(toUInt128(feedback_id), 4352132950612665028942233600000) AS hour, 'parked',
       toInt64(count())
FROM parked_now WHERE hour IN feedback_hours GROUP BY emitter, hour
UNION ALL
SELECT 'feedback', toString(emitter), intDiv(toUInt128(feedback_id), 4352132950612665028942233600000) AS hour, 'expired',
       toInt64(count())
FROM expired FINAL WHERE hour IN feedback_hours GROUP BY emitter, hour
UNION ALL
SELECT kind, emitter, hour, 'repeated', toInt64(count()) FROM events_repeated GROUP BY kind, emitter, hour
UNION ALL
SELECT kind, emitter, hour, 'dead_lettered', toInt64(count()) FROM events_dead_lettered GROUP BY kind, emitter, hour
UNION ALL
SELECT toString(kind), emitter, toUInt128(intDiv(toUnixTimestamp(hour), 3600)) AS number, toString(what),
       toInt64(sum(events))
FROM ledger FINAL
WHERE hour > 0 AND NOT itemised AND (kind, number) IN (SELECT arrayJoin(touched))
GROUP BY kind, emitter, number, what;

-- The balance: one row an emitter, kind and hour; columns as in `reconciliations`. missing is taken from the running
-- difference of what the emitter counted and what is found: events that it counts an instant later than their ids say,
-- or in another order, are not missing anywhere.
--   hour: hour of the events' ids (UTC); 1970-01-01 holds dead letters without a usable id
--   parked: feedback whose answer is not there (yet)
--   expired: events that expired: feedback parked for too long
--   repeated: events that another emitter sent too, and under which they are counted
CREATE OR REPLACE VIEW balance AS
WITH
    (SELECT since FROM balance_tail) AS tail,
    (SELECT groupArray((kind, hour)) FROM balance_touched) AS touched
SELECT kind, emitter, hour,
       counted - lagInFrame(counted, 1, 0) OVER past AS emitted,
       rows - parked AS stored, parked, dead_lettered, expired, erased, repeated,
       lasting - lagInFrame(lasting, 1, 0) OVER past AS missing,
       duplicated, sequence, sent, acknowledged
FROM
(
    SELECT *, min(lacking) OVER (PARTITION BY kind, emitter ORDER BY hour ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS lasting
    FROM
    (
        SELECT *,
               (max((sequence, sent)) OVER past).2 AS counted,
               greatest(0, counted - sum(rows + dead_lettered + expired + erased + repeated) OVER past) AS lacking
        FROM
        (
            SELECT kind, emitter, hour,
                   sumIf(events, place = 'rows') AS rows,
                   sumIf(events, place = 'parked') AS parked,
                   sumIf(events, place = 'dead_lettered') AS dead_lettered,
                   sumIf(events, place = 'expired') AS expired,
                   sumIf(events, place = 'erased') AS erased,
                   sumIf(events, place = 'repeated') AS repeated,
                   sumIf(events, place = 'duplicated') AS duplicated,
                   max(counter).1 AS sequence, max(counter).2 AS sent, max(counter).3 AS acknowledged
            FROM
            (
                SELECT kind, emitter, toDateTime(hour * 3600, 'UTC') AS hour, place, events,
                       (toInt64(-1), toInt64(0), toInt64(0)) AS counter
                FROM balance_places
                UNION ALL
                -- what is settled; of touched hours only the counters
                SELECT toString(kind), emitter, hour, piece.1 AS place,
                       if((toString(kind), toUInt128(intDiv(toUnixTimestamp(hour), 3600))) IN (SELECT arrayJoin(touched)),
                          0, piece.2) AS events,
                       (sequence, sent, acknowledged)
                FROM reconciliations FINAL
                ARRAY JOIN [('rows', stored + parked), ('parked', parked), ('dead_lettered', dead_lettered),
                            ('expired', expired), ('erased', erased), ('repeated', repeated),
                            ('duplicated', duplicated)] AS piece
                UNION ALL
                SELECT toString(kind), emitter, toStartOfHour(toDateTime(at, 'UTC')) AS hour, 'counter', 0,
                       max((toInt64(sequence), toInt64(emitted) - toInt64(dropped), toInt64(acknowledged)))
                FROM emitters WHERE ingested_at >= tail
                GROUP BY kind, emitter, hour
            )
            WHERE kind IN ('inferences', 'feedback')
            GROUP BY kind, emitter, hour
        )
        WINDOW past AS (PARTITION BY kind, emitter ORDER BY hour ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
    )
)
WINDOW past AS (PARTITION BY kind, emitter ORDER BY hour ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
