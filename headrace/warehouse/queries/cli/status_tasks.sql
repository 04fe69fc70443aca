-- Who serves each task and how well: one row a task that has a promotion, its newest generation. accuracy is the
-- rolling one of everything users saw that was written last (95 % interval low to high), 0 of n labels where there is none yet. unknown_labels: of
-- the live version's audit, those that are none of the task's (`labels_unknown`); they count nowhere. job: the open retraining job, in words;
-- of one that waits for labels its reason says how many and in how many days they come. Empty where there is none.
-- reason: of the newest generation, as what a step forward waits for. pinned: the version of each tenant that stays on one.
-- incumbent_share: of the sessions, answered by the incumbent in the place of a broken live version.
SELECT
    p.task AS task, p.generation AS generation, p.step AS step,
    JSONExtractString(p.live, 'version') AS live,
    JSONExtractString(p.canary, 'version') AS canary,
    p.canary_share AS canary_share,
    arrayStringConcat(arrayMap(pin -> concat(pin.1, ' on ', JSONExtractString(pin.2, 'version')),
                               JSONExtractKeysAndValuesRaw(p.extra, 'pins')), ', ') AS pinned,
    JSONExtractFloat(p.extra, 'incumbent_share') AS incumbent_share,
    a.value AS accuracy, a.low AS low, a.high AS high, a.n AS labels, u.answers AS unknown_labels,
    p.since AS live_since, p.reason AS reason, j.job AS job
FROM (SELECT * FROM promotions FINAL ORDER BY generation DESC LIMIT 1 BY task) AS p
LEFT JOIN
    (SELECT * FROM accuracy FINAL WHERE version = '*' ORDER BY known_at DESC, watermark DESC LIMIT 1 BY task) AS a ON a.task = p.task
LEFT JOIN
    (SELECT task, version, count() AS answers FROM audit_labels FINAL WHERE unknown AND label != '' GROUP BY task, version)
    AS u ON u.task = p.task AND u.version = JSONExtractString(p.live, 'version')
LEFT JOIN
    (
        SELECT task, argMax(concat('job ', toString(number), ' is ', state, if(reason = '', '', ': '), reason), number) AS job
        FROM (SELECT * FROM jobs FINAL ORDER BY attempt DESC, at DESC, heartbeat_at DESC LIMIT 1 BY job_id)
        WHERE state NOT IN ('won', 'no_winner', 'failed', 'skipped')
        GROUP BY task
    ) AS j ON j.task = p.task
ORDER BY task
