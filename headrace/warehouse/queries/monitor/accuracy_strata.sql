-- What the rolling accuracy is estimated from: one row a task, a span, a group and a stratum of its answers. Spans are given as
-- two arrays, the task of each and its end (milliseconds since 1970); each reaches span_ms back.
-- Groups: all, version, arm, expert (the label answered), tenant.
-- Windows become one sum of a span before its groups are told apart: fewer rows five times.
WITH
    fromUnixTimestamp64Milli(arrayMin({untils:Array(Int64)}) - {span_ms:Int64}, 'UTC') AS first,
    fromUnixTimestamp64Milli(arrayMax({untils:Array(Int64)}), 'UTC') AS last
SELECT task, until, one.1 AS `by`, one.2 AS name, stratum, confidence, probability,
       sum(s.answers) AS answers, sum(s.labelled) AS labelled, sum(s.errors) AS errors, sum(s.unknown) AS unknown,
       sum(s.audit_labelled) AS audit_labelled, sum(s.audit_errors) AS audit_errors,
       sum(s.thumbs_up) AS thumbs_up, sum(s.thumbs_down) AS thumbs_down
FROM
(
    SELECT task, until, version, arm, expert, tenant, stratum, confidence, probability,
           sum(s.answers) AS answers, sum(s.labelled) AS labelled, sum(s.errors) AS errors, sum(s.unknown) AS unknown,
           sum(s.audit_labelled) AS audit_labelled, sum(s.audit_errors) AS audit_errors,
           sum(s.thumbs_up) AS thumbs_up, sum(s.thumbs_down) AS thumbs_down
    FROM
    (
        SELECT *, arrayFilter((until, of) -> of = task AND toUnixTimestamp64Milli(window_from) < until
                                             AND toUnixTimestamp64Milli(window_from) >= until - {span_ms:Int64},
                              {untils:Array(Int64)}, {tasks:Array(String)}) AS ends
        FROM strata FINAL
        WHERE answers > 0 AND task IN {tasks:Array(String)} AND window_from >= first AND window_from < last
          AND (task, window_from, known_at) IN
              (SELECT task, window_from, max(known_at) FROM strata
               WHERE task IN {tasks:Array(String)} AND window_from >= first AND window_from < last GROUP BY task, window_from)
    ) AS s
    ARRAY JOIN s.ends AS until
    GROUP BY task, until, version, arm, expert, tenant, stratum, confidence, probability
) AS s
ARRAY JOIN [('all', '*'), ('version', toString(s.version)), ('arm', toString(s.arm)), ('expert', toString(s.expert)),
            ('tenant', toString(s.tenant))] AS one
GROUP BY task, until, one, stratum, confidence, probability
