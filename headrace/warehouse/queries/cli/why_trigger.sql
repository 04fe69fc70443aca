-- What a trigger rested on and what came of it, in order of time: one row an evaluation of the look that made it, a state that
-- held the policy before it, the trigger, what later looks said until the next trigger, a state of its job, a candidate, a
-- promotion of its version, and the accuracy on the base audit before the change, after it, and of the version that took over.
-- subject, about: in words; numbers and words: the same for programs, by name.
WITH
    made AS (SELECT * FROM triggers FINAL WHERE trigger_id = {trigger:UUID}),
    job AS (SELECT job_id, version FROM jobs FINAL WHERE trigger_id = {trigger:UUID}),
    -- when the version that was live had become so, and when the job's did
    lives AS
    (
        SELECT JSONExtractString(live, 'version') AS version, min(since) AS live_since
        FROM promotions FINAL WHERE task IN (SELECT task FROM made) GROUP BY version
    ),
    earlier AS
    (
        SELECT max(decided_at) AS last_at FROM triggers FINAL
        WHERE task IN (SELECT task FROM made) AND decided_at < (SELECT max(decided_at) FROM made)
    ),
    next AS
    (
        SELECT if(count() = 0, toDateTime64('2299-12-31 00:00:00', 3, 'UTC'), min(decided_at)) AS next_at FROM triggers FINAL
        WHERE task IN (SELECT task FROM made) AND decided_at > (SELECT max(decided_at) FROM made)
    ),
    -- the policy's looks in the trigger's generation. by: what was decided or what held it, as in 'held: a rollout is under way
    -- (step canary) (what asked)' before the first parenthesis; alike: the same without its numbers
    looks AS
    (
        SELECT e.watermark AS watermark, e.looked_at AS looked_at, e.decision AS decision, e.reason AS reason,
               if(startsWith(reason, 'held: '), extract(reason, '^held: ([^(]*[^( ])'), concat(e.decision, if(e.decision = '', '', ': '), reason)) AS by,
               replaceRegexpAll(by, '[0-9][0-9,.]*', '#') AS alike,
               extract(reason, '\\(([^()]*(?:\\([^()]*\\)[^()]*)*)\\)$') AS asked
        FROM (SELECT * FROM evaluations FINAL WHERE task IN (SELECT task FROM made) AND detector = 'policy') AS e
        INNER JOIN made AS t ON t.task = e.task AND t.generation = e.generation
    ),
    -- the look that made it: the first that decided so; of a store of before, where that may be replaced, the first that is left
    fired AS
    (
        SELECT argMin(looked_at, (decision != (SELECT toString(max(kind)) FROM made), looked_at)) AS fired_at
        FROM looks WHERE watermark = (SELECT max(decided_at) FROM made)
    )
SELECT at, what, subject, about, numbers, words
FROM
(
    SELECT decided_at AS at, 1 AS step, 'trigger' AS what, concat(task, ' ', kind) AS subject,
           concat(reason, if(threshold = 0, '', format(' ({}: {} against {}, {} labels since the change)', detector,
                  toString(round(statistic, 4)), toString(round(threshold, 4)), toString(labels_since_change)))) AS about,
           map('statistic', statistic, 'threshold', threshold, 'labels', toFloat64(labels),
               'labels_since_change', toFloat64(labels_since_change), 'generation', toFloat64(generation),
               'errors_since_change', JSONExtractFloat(evidence, 'errors_since_change'),
               'baseline', JSONExtractFloat(evidence, 'baseline'),
               'labels_per_year', JSONExtractFloat(evidence, 'labels_per_year'),
               'reference_errors', JSONExtractFloat(evidence, 'reference', 'errors'),
               'reference_labelled', JSONExtractFloat(evidence, 'reference', 'labelled')) AS numbers,
           map('task', toString(task), 'kind', toString(kind), 'detector', toString(detector), 'reason', reason,
               'version', toString(version), 'test_from', toString(toDateTime(test_from, 'UTC')),
               'by', JSONExtractString(evidence, 'by'), 'source', JSONExtractString(evidence, 'reference', 'source')) AS words
    FROM made
    UNION ALL
    SELECT e.watermark, 0, 'evaluation', concat(e.detector, if(e.fired, ' fired', ' did not fire')),
           concat(e.decision, if(e.decision = '', '', ': '), e.reason),
           map('fired', toFloat64(e.fired), 'n', toFloat64(e.n), 'statistic', e.statistic, 'threshold', e.threshold),
           map('detector', toString(e.detector), 'reason', e.reason)
    FROM (SELECT * FROM evaluations FINAL WHERE task IN (SELECT task FROM made)) AS e
    INNER JOIN made AS t ON t.task = e.task AND t.generation = e.generation AND t.decided_at = e.watermark
    WHERE e.looked_at = (SELECT fired_at FROM fired)
    UNION ALL
    SELECT min(watermark), 0, 'held', argMax(by, looked_at),
           format('{} looks until {}', toString(count()), toString(max(watermark))),
           map('looks', toFloat64(count())), map('until', toString(toDateTime(max(watermark), 'UTC')), 'asked', argMax(asked, looked_at))
    FROM looks
    WHERE startsWith(reason, 'held: ') AND watermark > (SELECT last_at FROM earlier)
      AND (watermark, looked_at) < (SELECT (max(decided_at), (SELECT fired_at FROM fired)) FROM made)
    GROUP BY alike
    UNION ALL
    SELECT min(watermark), 2, 'later', argMax(by, looked_at),
           format('{} looks until {}', toString(count()), toString(max(watermark))),
           map('looks', toFloat64(count())), map('until', toString(toDateTime(max(watermark), 'UTC')), 'asked', argMax(asked, looked_at))
    FROM looks
    WHERE (watermark, looked_at) > (SELECT (max(decided_at), (SELECT fired_at FROM fired)) FROM made)
      AND watermark < (SELECT next_at FROM next)
    GROUP BY alike
    UNION ALL
    SELECT at, 3, 'job', concat(task, ' ', toString(number), ', attempt ', toString(attempt), ': ', state), reason,
           map('number', toFloat64(number), 'attempt', toFloat64(attempt), 'needs', toFloat64(needs)),
           map('state', toString(state), 'reason', reason)
    FROM jobs FINAL WHERE trigger_id = {trigger:UUID}
    UNION ALL
    SELECT at, 4, 'candidate', concat(name, ': ', gate),
           format('{} accuracy {} ({} to {}, n = {}), p95 {} ms. {}', split, toString(round(accuracy, 4)),
                  toString(round(low, 4)), toString(round(high, 4)), toString(n), toString(round(p95_ms, 2)), reason),
           map('n', toFloat64(n), 'accuracy', accuracy, 'low', low, 'high', high, 'p95_ms', p95_ms,
               'cost_per_1k', cost_per_1k),
           map('name', toString(name), 'split', toString(split), 'gate', toString(gate), 'reason', reason)
    FROM candidates FINAL WHERE job_id IN (SELECT job_id FROM job)
    UNION ALL
    SELECT at, 5, 'promotion', concat('generation ', toString(generation), ': ', step), reason,
           map('generation', toFloat64(generation), 'canary_share', canary_share),
           map('step', toString(step), 'live', JSONExtractString(live, 'version'), 'reason', reason)
    FROM promotions FINAL
    WHERE arrayExists(served -> JSONExtractString(served, 'version') != ''
                      AND JSONExtractString(served, 'version') IN (SELECT version FROM job WHERE version != ''),
                      [live, canary, shadow])
          -- recommended, or held by a freeze window: its name begins the reason
          OR extract(reason, '^(\\S+@\\d+) ') IN (SELECT version FROM job WHERE version != '')
    UNION ALL
    SELECT min(a.occurred_at), 6, 'accuracy', phase, format('{} of {} right', toString(countIf(NOT a.error)), toString(count())),
           map('n', toFloat64(count()), 'correct', toFloat64(countIf(NOT a.error))),
           map('phase', phase, 'version', toString(any(a.version)))
    FROM
    (
        SELECT a.occurred_at AS occurred_at, a.version AS version, a.error AS error,
               multiIf(a.version != t.old, 'after', a.occurred_at < t.test_from, 'before', 'changed') AS phase
        FROM audit_current AS a
        INNER JOIN lives ON lives.version = a.version
        CROSS JOIN (SELECT version AS old, test_from, decided_at FROM made) AS t
        WHERE a.task IN (SELECT task FROM made) AND a.occurred_at >= lives.live_since
          AND (a.version = t.old AND a.occurred_at <= t.decided_at
               OR a.version != t.old AND a.version IN (SELECT version FROM job WHERE version != ''))
    ) AS a
    GROUP BY phase
)
ORDER BY at, step, subject
