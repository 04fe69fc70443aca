-- How busy the loops of tasks are. Asked of several at once, at the same place of each array: the task, since when its version is
-- live, its generation, that version, and the job whose model it is. One row a task.
-- trigger_ids: of those made since the live version became live; last_at: the last trigger ever, by event time (1970 for none)
-- waiting: a trigger of the last quarter of an hour (wall clock) that no job has answered yet, else ''
-- open_job, open_state, open_number, open_needs: a job whose latest state is not final, else ''; open_kind, open_at: of its
--           trigger: the kind, and when it was decided, event time
-- settling: a job that won within the last quarter of an hour and whose rollout request no generation up to the task's
--           has answered yet, else ''. The copies of a job's end and of the promotion after it arrive in any order.
-- last_labels, live_labels: of the task, as the plan had them when the last trigger was made, and when that of the live job
--           was; empty where that is not known
-- verdict: of the last job that met the test rows against the live version and had no winner, a JSON object; empty where
--           a job won since, or none did. verdict_job: its number; verdict_kind, verdict_from, verdict_at: of its trigger: the
--           kind, and when its test rows begin and when it was decided, event times
-- drew_at: the last uniform draw of audits, by event time (1970 for none)
WITH
    subjects AS
    (
        SELECT arrayJoin(arrayEnumerate({tasks:Array(String)})) AS place, {tasks:Array(String)}[place] AS task,
               {sinces:Array(DateTime64(6, 'UTC'))}[place] AS since, {generations:Array(UInt64)}[place] AS generation,
               {lives:Array(String)}[place] AS live, {live_jobs:Array(UUID)}[place] AS live_job
    ),
    latest AS
    (
        SELECT task, job_id, any(trigger_id) AS of_trigger, any(number) AS number,
               argMax(state, (attempt, at, heartbeat_at)) AS state, argMax(result, (attempt, at, heartbeat_at)) AS result,
               argMax(needs, (attempt, at, heartbeat_at)) AS needs, any(trigger) AS made_by,
               max(ingested_at) AS last_row
        FROM jobs FINAL
        WHERE task IN {tasks:Array(String)}
        GROUP BY task, job_id
    ),
    answered AS
    (
        SELECT task, JSONExtractString(candidate, 'job_id') AS job
        FROM rollouts FINAL
        WHERE task IN {tasks:Array(String)} AND (task, request_id) IN
            (SELECT p.task, assumeNotNull(p.request_id)
             FROM (SELECT task, request_id, generation FROM promotions FINAL
                   WHERE task IN {tasks:Array(String)} AND request_id IS NOT NULL) AS p
             INNER JOIN subjects AS s ON p.task = s.task
             WHERE p.generation <= s.generation)
    ),
    ran AS
    (
        SELECT l.task AS task,
               argMaxIf((toString(l.job_id), l.state, l.number, l.needs, JSONExtractString(l.made_by, 'kind'),
                         parseDateTime64BestEffortOrZero(JSONExtractString(l.made_by, 'decided_at'), 6, 'UTC')), l.number,
                        l.state NOT IN ('won', 'no_winner', 'failed', 'skipped')) AS open,
               argMaxIf(toString(l.job_id), l.number,
                        l.state = 'won' AND l.last_row > now64(3) - INTERVAL 15 MINUTE
                        AND (l.task, toString(l.job_id)) NOT IN (SELECT task, job FROM answered)) AS settling,
               argMaxIf((l.of_trigger, l.number, JSONExtractRaw(l.result, 'verdict')), l.number,
                        l.state = 'won'
                        OR l.state = 'no_winner' AND startsWith(JSONExtractRaw(l.result, 'verdict'), '{')
                           AND JSONExtractString(l.result, 'against') = s.live) AS judged
        FROM latest AS l INNER JOIN subjects AS s ON l.task = s.task
        GROUP BY task
    ),
    made AS
    (
        SELECT t.task AS task,
               max(t.decided_at) AS last_at,
               groupArrayIf(toString(t.trigger_id), t.decided_at >= s.since) AS trigger_ids,
               argMaxIf(toString(t.trigger_id), t.decided_at,
                        t.ingested_at > now64(3) - INTERVAL 15 MINUTE
                        AND t.trigger_id NOT IN (SELECT of_trigger FROM latest)) AS waiting,
               argMax(JSONExtract(t.evidence, 'task_labels', 'Array(String)'), t.decided_at) AS last_labels,
               argMaxIf(JSONExtract(t.evidence, 'task_labels', 'Array(String)'), t.decided_at,
                        (s.live_job, t.trigger_id) IN (SELECT job_id, of_trigger FROM latest)) AS live_labels
        FROM (SELECT * FROM triggers FINAL WHERE task IN {tasks:Array(String)}) AS t INNER JOIN subjects AS s ON t.task = s.task
        GROUP BY task
    )
SELECT
    s.task AS task, m.last_at AS last_at, m.trigger_ids AS trigger_ids, m.waiting AS waiting,
    r.open.1 AS open_job, r.open.2 AS open_state, r.open.3 AS open_number, r.open.4 AS open_needs, r.open.5 AS open_kind,
    r.open.6 AS open_at, r.settling AS settling,
    m.last_labels AS last_labels, m.live_labels AS live_labels,
    if(startsWith(r.judged.3, '{'), r.judged.3, '') AS verdict, r.judged.2 AS verdict_job,
    j.kind AS verdict_kind, j.test_from AS verdict_from, j.decided_at AS verdict_at,
    d.drew_at AS drew_at
FROM subjects AS s
LEFT JOIN made AS m ON s.task = m.task
LEFT JOIN ran AS r ON s.task = r.task
LEFT JOIN (SELECT task, trigger_id, kind, test_from, decided_at FROM triggers FINAL WHERE task IN {tasks:Array(String)}) AS j
    ON s.task = j.task AND r.judged.1 = j.trigger_id
LEFT JOIN (SELECT task, max(drawn_at) AS drew_at FROM audit_draws
           WHERE task IN {tasks:Array(String)} AND purpose = 'uniform' GROUP BY task) AS d ON s.task = d.task
