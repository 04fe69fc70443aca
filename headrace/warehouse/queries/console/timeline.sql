-- What happened: one row a trigger, a generation of a promotion, or an outcome of a job, newest first.
-- at: its place in event time. A trigger is decided in event time; promotions and jobs carry the wall clock, and the
-- newest accuracy reading known at that moment says how far event time had come. recorded_at: as it was written.
WITH events AS
(
    SELECT task, 'trigger' AS what, kind, version, toUInt64(labels) AS number, 0. AS share, reason,
           decided_at AS recorded_at, true AS in_event_time
    FROM triggers FINAL
    UNION ALL
    SELECT task, 'promotion' AS what,
           multiIf(live != lagInFrame(live) OVER by_task AND live = previous_of_before, 'rolled_back',
                   live != lagInFrame(live) OVER by_task, 'live', step) AS kind,
           multiIf(kind IN ('live', 'rolled_back', 'steady'), live, step = 'canary', canary, shadow) AS version,
           generation AS number, canary_share AS share, reason, at AS recorded_at, false AS in_event_time
    FROM
    (
        SELECT task, generation, step, canary_share, reason, at,
               JSONExtractString(live, 'version') AS live,
               JSONExtractString(canary, 'version') AS canary,
               JSONExtractString(shadow, 'version') AS shadow,
               lagInFrame(JSONExtractString(previous, 'version')) OVER (PARTITION BY task ORDER BY generation)
                   AS previous_of_before
        FROM promotions FINAL
    )
    WINDOW by_task AS (PARTITION BY task ORDER BY generation)
    UNION ALL
    SELECT task, 'job' AS what, state AS kind, version, toUInt64(number) AS number, 0. AS share, reason,
           at AS recorded_at, false AS in_event_time
    FROM jobs FINAL
    WHERE state IN ('won', 'no_winner', 'failed', 'waiting')
),
readings AS
(
    SELECT task, known_at, watermark, min(window_from) OVER (PARTITION BY task) AS first_from
    FROM accuracy FINAL
    WHERE version = '*'
)
SELECT e.task AS task, e.what AS what, e.kind AS kind, e.version AS version, e.number AS number, e.share AS share,
       e.reason AS reason, e.recorded_at AS recorded_at,
       multiIf(e.in_event_time OR f.first_from = toDateTime64(0, 3, 'UTC'), e.recorded_at,
               r.known_at = toDateTime64(0, 6, 'UTC'), f.first_from,
               r.watermark + toIntervalMillisecond(dateDiff('millisecond', r.known_at, e.wall))) AS at
FROM (SELECT *, toDateTime64(recorded_at, 6, 'UTC') AS wall FROM events) AS e
LEFT JOIN (SELECT task, min(first_from) AS first_from FROM readings GROUP BY task) AS f ON e.task = f.task
ASOF LEFT JOIN readings AS r ON e.task = r.task AND r.known_at <= e.wall
ORDER BY at DESC, recorded_at DESC, what
LIMIT {rows:UInt32} BY task
