-- What happened since {reached} that is to be told, is of one of {kinds}, and was not told yet: one row an alert, oldest
-- first, at most {rows}. alert_id is derived from what happened, so that a replay or another look is the same alert.
--   trigger    a decision to retrain
--   promotion  another version is live
--   rollback   a candidate was given up before it was live, or the version before is live again
--   no_winner  a retraining job ended without a winner; failed: it could not be run
--   detector   a detector fires that did not fire at its last look
--   missing    events were counted by an emitter and are nowhere two hours later, or acknowledged by the workers and nowhere
--   stopped    a worker stopped a partition because most of what came was poison
--   unreadable a record of a control topic cannot be read, or was lost; once a day and reason
--   dropped    an emitter's own buffer or spool was full and refused events
SELECT toUUID(hex(MD5(format('alert/{}/{}', kind, key)))) AS alert_id, kind, task, at, reason, numbers
FROM
(
    SELECT 'trigger' AS kind, toString(task) AS task, toString(trigger_id) AS key, decided_at AS at, reason,
           map('statistic', statistic, 'threshold', threshold, 'labels', toFloat64(labels),
               'labels_since_change', toFloat64(labels_since_change)) AS numbers
    FROM triggers FINAL WHERE ingested_at >= {reached:DateTime64(3, 'UTC')} AND triggers.kind != 'cancel'
    UNION ALL
    SELECT multiIf(live = before.1, 'rollback', live = before.2 AND live != '', 'rollback', 'promotion') AS kind, task,
           concat(task, '/', toString(generation)) AS key, at, reason, map('generation', toFloat64(generation)) AS numbers
    FROM
    (
        SELECT toString(task) AS task, generation, at, reason, ingested_at, JSONExtractString(live, 'version') AS live,
               JSONExtractString(previous, 'version') AS previous,
               concat(JSONExtractString(canary, 'version'), JSONExtractString(shadow, 'version')) AS candidate,
               lagInFrame((live, previous, candidate), 1) OVER (PARTITION BY task ORDER BY generation) AS before
        FROM (SELECT * FROM promotions FINAL)
    )
    WHERE ingested_at >= {reached:DateTime64(3, 'UTC')} AND before.1 != ''
      AND (live != before.1 OR before.3 != '' AND candidate = '')
    UNION ALL
    SELECT toString(state) AS kind, toString(task) AS task, concat(toString(job_id), '/', toString(attempt)) AS key, at, reason,
           map('number', toFloat64(number), 'attempt', toFloat64(attempt)) AS numbers
    FROM jobs FINAL
    WHERE state IN ('no_winner', 'failed') AND ingested_at >= {reached:DateTime64(3, 'UTC')}
    UNION ALL
    SELECT 'detector' AS kind, task, concat(task, '/', detector, '/', toString(generation), '/', toString(watermark)) AS key,
           watermark AS at, concat(detector, ' fires: ', reason) AS reason,
           map('statistic', statistic, 'threshold', threshold, 'n', toFloat64(n)) AS numbers
    FROM
    (
        SELECT toString(task) AS task, toString(detector) AS detector, generation, watermark, fired, reason, statistic,
               threshold, n, ingested_at,
               lagInFrame(fired, 1) OVER (PARTITION BY task, detector, generation ORDER BY watermark, looked_at) AS fired_before
        FROM
        (
            SELECT task, detector, generation, watermark, looked_at, fired, reason, statistic, threshold, n, ingested_at
            FROM evaluations FINAL WHERE ingested_at >= {reached:DateTime64(3, 'UTC')}
            UNION ALL
            -- the look before those: days ago where nothing changed since
            SELECT task, detector, generation, max((watermark, looked_at, fired) AS look).1, max(look).2, max(look).3, '', 0, 0, 0,
                   toDateTime64(0, 3, 'UTC')
            FROM evaluations
            WHERE ingested_at < {reached:DateTime64(3, 'UTC')} AND (task, detector, generation) IN
                  (SELECT task, detector, generation FROM evaluations WHERE ingested_at >= {reached:DateTime64(3, 'UTC')} AND fired)
            GROUP BY task, detector, generation
        )
        WHERE NOT startsWith(detector, 'policy')
    )
    WHERE fired AND NOT fired_before AND ingested_at >= {reached:DateTime64(3, 'UTC')}
    UNION ALL
    SELECT 'missing' AS kind, '' AS task, concat(kind_, '/', emitter, '/', toString(hour)) AS key,
           toDateTime64(hour, 3, 'UTC') AS at,
           format('{} of {} sent by {} in this hour are missing', toString(missing), kind_, emitter) AS reason,
           map('missing', toFloat64(missing)) AS numbers
    FROM (SELECT *, toString(kind) AS kind_ FROM reconciliations FINAL WHERE missing > 0)
    WHERE toDateTime64(at, 3, 'UTC') >= {reached:DateTime64(3, 'UTC')} AND hour < now() - INTERVAL 2 HOUR
    UNION ALL
    SELECT 'missing' AS kind, '' AS task, concat(topic, '/', toString(partition), '/', toString(first)) AS key,
           toDateTime64(hour, 3, 'UTC') AS at,
           format('{}/{} offsets {} to {} are {}: {}', topic, toString(partition), toString(first), toString(last), state, note)
               AS reason,
           map('events', toFloat64(events)) AS numbers
    FROM offset_gaps FINAL
    WHERE state IN ('missing', 'lost', 'unknown') AND checked_at >= {reached:DateTime64(3, 'UTC')}
    UNION ALL
    SELECT 'stopped' AS kind, '' AS task, concat(topic, '/', toString(partition), '/', toString(at)) AS key,
           toDateTime64(at, 3, 'UTC') AS at, format('{}/{}: {}', topic, toString(partition), reason) AS reason,
           map('events', toFloat64(events), 'poison', toFloat64(poison)) AS numbers
    FROM stopped_partitions FINAL
    WHERE state = 'stopped' AND stopped_partitions.at >= toDateTime64({reached:DateTime64(3, 'UTC')}, 6, 'UTC')
    UNION ALL
    SELECT 'unreadable' AS kind, toString(task) AS task, concat(topic, '/', key, '/', reason, '/', toString(toDate(at))) AS key, at,
           format('{}, {}: {}', topic, unreadable.key, reason) AS reason, CAST(map(), 'Map(String, Float64)') AS numbers
    FROM unreadable FINAL
    WHERE at >= {reached:DateTime64(3, 'UTC')}
    UNION ALL
    SELECT 'dropped' AS kind, '' AS task, concat(emitter, '/', kind_, '/', toString(hour)) AS key,
           toDateTime64(hour, 3, 'UTC') AS at,
           format('{} dropped {} of its {} in this hour: its buffer or spool was full', emitter, toString(more), kind_) AS reason,
           map('dropped', toFloat64(more)) AS numbers
    FROM
    (
        SELECT emitter, kind_, hour, arrived,
               dropped - lagInFrame(dropped, 1, 0) OVER (PARTITION BY emitter, kind_ ORDER BY hour) AS more
        FROM
        (
            SELECT emitter, toString(kind) AS kind_, toStartOfHour(toDateTime(at, 'UTC')) AS hour,
                   toInt64(max(dropped)) AS dropped, max(ingested_at) AS arrived
            FROM emitters
            WHERE emitter IN
                  (SELECT emitter FROM emitters
                   WHERE ingested_at >= {reached:DateTime64(3, 'UTC')} AND emitters.dropped > 0)
            GROUP BY emitter, kind_, hour
        )
    )
    WHERE more > 0 AND arrived >= {reached:DateTime64(3, 'UTC')}
)
WHERE kind IN {kinds:Array(String)} AND alert_id NOT IN (SELECT alert_id FROM alerts)
ORDER BY at, alert_id
LIMIT {rows:UInt32}
