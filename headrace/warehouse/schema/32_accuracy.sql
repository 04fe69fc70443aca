-- Each answer in the windows of `tasks` from `window_from` up to `window_to` (milliseconds since 1970; the start of the first, the
-- end of the last), shadow answers too, and what is known of it: its stratum and how it came by a label.
-- Drawn is what the base audit drew, what `audit_draws` has, and feedback that says with which probability
-- between 0 and 1 its answer was drawn. A label by an expert or an outcome that nobody drew makes the answer known.
-- An answer's probability is that it is drawn at all. Draws are independent: it is missed if each misses it. A uniform draw
-- covers what lies between its first and last id, so what the base audit drew there had that chance too.
-- Ids carry their time, which bounds every read: of feedback, which may come years later, by the index on the hours of the answers.
-- Whatever its own clock says, it was not stored an hour before its answer was made, as the answer's id says: a correction may bear
-- a later time. Where an answer's clock was an hour ahead, that says nothing, and no time bounds the read.
-- A label that is none of the task's is no label: the answer is `unknown` where it has no other.
-- Of feedback the greatest revision counts. `thumb` is the last one by anybody, `users_thumb` by a user or as seen in behaviour.
CREATE OR REPLACE VIEW window_answers AS
WITH
    {size_ms:Int64} AS size,
    -- ids from a day before the first window up to a day after the last
    bitShiftLeft(toUInt128(greatest(0, {window_from:Int64} - 86400000)), 80) AS lowest,
    bitShiftLeft(toUInt128({window_to:Int64} + 86400000), 80) AS highest,
    answers AS
    (
        SELECT task, tenant, inference_id, version, arm, label, audited, occurred_at,
               first_token_ms, latency_ms, tokens_in, tokens_out, cost,
               if(audited AND audit_probability = 0, 1, least(1, toFloat64(audit_probability))) AS base,
               intDiv(toUnixTimestamp64Milli(occurred_at), size) * size AS span,
               arrayMax(mapValues(scores)) AS score,
               multiIf(empty(scores), '', score < 0.6, 'low', score < 0.9, 'middle', 'high') AS confidence
        FROM inferences FINAL
        WHERE task IN {tasks:Array(String)}
          AND toUInt128(inference_id) >= lowest AND toUInt128(inference_id) < highest
          AND occurred_at >= fromUnixTimestamp64Milli({window_from:Int64}, 'UTC')
          AND occurred_at < fromUnixTimestamp64Milli({window_to:Int64}, 'UTC')
    ),
    -- the hours of their ids, and since when something may have been said: 1970 where an answer's clock was an hour ahead. Also of
    -- replaced rows, which may make it wider: a second FINAL costs more to plan than that to read
    (SELECT (min(toStartOfHour(UUIDv7ToDateTime(inference_id, 'UTC'))), max(toStartOfHour(UUIDv7ToDateTime(inference_id, 'UTC'))),
             min(if(occurred_at > ingested_at + INTERVAL 1 HOUR, 0, toInt64(bitShiftRight(toUInt128(inference_id), 80)))))
     FROM inferences
     WHERE task IN {tasks:Array(String)}
       AND toUInt128(inference_id) >= lowest AND toUInt128(inference_id) < highest
       AND occurred_at >= fromUnixTimestamp64Milli({window_from:Int64}, 'UTC')
       AND occurred_at < fromUnixTimestamp64Milli({window_to:Int64}, 'UTC')) AS reach,
    fromUnixTimestamp64Milli(greatest(0, least({window_from:Int64}, reach.3) - 3600000), 'UTC') AS first_said,
    said AS
    (
        WITH
            (revision, occurred_at, toUInt128(feedback_id)) AS word,
            source IN ('user', 'implicit') AS volunteered,
            inclusion_probability > 0 AND inclusion_probability < 1 AS drawn,
            -- older versions stored a thumb of 0, which is down, and ratings of unknown ranges: what is not 1 to 5 says nothing
            volunteered AND (signal = 'thumb' AND value > 0 OR signal = 'rating' AND value BETWEEN 4 AND 5
                             OR signal = 'resolution' AND value >= 1) AS up,
            volunteered AND (signal = 'thumb' AND value <= 0 OR signal = 'rating' AND value BETWEEN 1 AND 2
                             OR signal = 'resolution' AND value < 1
                             OR signal IN ('correction', 'rephrase', 'reroute', 'escalation', 'abandon')) AS down
        SELECT
            tenant, inference_id,
            argMaxIf(label, word, source = 'audit' AND signal = 'label' AND label != '') AS blind,
            argMaxIf(label, (source = 'reviewer', word), source IN ('reviewer', 'outcome') AND label != '' AND NOT drawn) AS told,
            argMaxIf(label, (source = 'reviewer', word), source IN ('reviewer', 'outcome', 'audit') AND label != '' AND drawn) AS sampled,
            maxIf(inclusion_probability, source IN ('reviewer', 'outcome', 'audit') AND label != '' AND drawn) AS sampled_with,
            argMaxIf(if(value = 0, -1, value), word, signal = 'thumb') AS thumb,
            argMaxIf(if(value = 0, -1, value), word, signal = 'thumb' AND volunteered) AS users_thumb,
            argMaxIf(label, word, volunteered AND signal IN ('correction', 'reroute')) AS put_right,
            countIf(ifNull(up, 0)) > 0 AS thanked,
            countIf(ifNull(down, 0)) > 0 AS complained
        FROM
        (
            SELECT * FROM feedback FINAL
            WHERE ingested_at >= first_said
              AND toStartOfHour(UUIDv7ToDateTime(inference_id, 'UTC')) BETWEEN reach.1 AND reach.2
            ORDER BY revision DESC
            LIMIT 1 BY toUInt128(feedback_id), tenant, ground_truth
        )
        WHERE label != '' OR volunteered OR signal = 'thumb'
        GROUP BY tenant, inference_id
    ),
    uniform AS
    (
        SELECT task, min(toUInt128(inference_id)) AS first, max(toUInt128(inference_id)) AS last,
               max(inclusion_probability) AS chance
        FROM audit_draws
        WHERE task IN {tasks:Array(String)} AND purpose = 'uniform'
          -- those of three windows are drawn together
          AND toUInt128(inference_id) >= bitShiftLeft(toUInt128(greatest(0, {window_from:Int64} - 86400000 - 4 * size)), 80)
          AND toUInt128(inference_id) < bitShiftLeft(toUInt128({window_to:Int64} + 86400000 + 4 * size), 80)
        GROUP BY task, drawn_at
    ),
    draws AS
    (
        SELECT tenant, inference_id, countIf(purpose = 'uniform') > 0 AS uniformly,
               maxIf(inclusion_probability, purpose = 'targeted') AS targeted
        FROM audit_draws
        WHERE task IN {tasks:Array(String)}
          AND toUInt128(inference_id) >= lowest AND toUInt128(inference_id) < highest
        GROUP BY tenant, inference_id
    )
SELECT
    a.task AS task, fromUnixTimestamp64Milli(a.span, 'UTC') AS window_from, a.tenant AS tenant, a.inference_id AS inference_id,
    a.version AS version, a.arm AS arm, a.label AS expert, a.confidence AS confidence, s.thumb AS thumb, s.users_thumb AS users_thumb, a.audited AS audited,
    a.first_token_ms AS first_token_ms, a.latency_ms AS latency_ms, a.tokens_in AS tokens_in, a.tokens_out AS tokens_out, a.cost AS cost,
    a.audited OR d.uniformly AS fair, fair OR d.targeted > 0 AS chosen,
    -- A join would copy a task's labels to each of its answers, which takes as long as all the rest.
    a.task NOT IN (SELECT task FROM task_labels) AS any_label,
    if(any_label OR (a.task, s.blind) IN (SELECT task, label FROM labels_known), s.blind, '') AS blind,
    if(any_label OR (a.task, s.told) IN (SELECT task, label FROM labels_known), s.told, '') AS told,
    if(any_label OR (a.task, s.sampled) IN (SELECT task, label FROM labels_known), s.sampled, '') AS sampled,
    told != '' OR (blind != '' AND NOT chosen AND s.sampled_with = 0) AS is_known,
    multiIf(is_known, 'known', s.put_right != '' AND s.put_right != a.label, 'corrected',
            s.complained, 'complained', s.thanked, 'thanked', 'silent') AS stratum,
    multiIf(blind != '', blind, is_known, told, sampled) AS truth,
    truth = '' AND concat(s.blind, s.told, s.sampled) != '' AS unknown,
    1 - a.base AS missed,
    arrayMax(draw -> draw.4 * (draw.1 = a.task AND toUInt128(a.inference_id) BETWEEN draw.2 AND draw.3),
             (SELECT groupArray((task, first, last, chance)) FROM uniform)) AS uniform_chance,
    missed * if(missed > 0, least(1, (1 - uniform_chance) / missed) * least(1, (1 - d.targeted) / missed), 1) AS out,
    round(multiIf(is_known, 0, chosen, 1 - out, s.sampled_with), 6) AS probability
FROM answers AS a
LEFT JOIN said AS s ON a.tenant = s.tenant AND a.inference_id = s.inference_id
LEFT JOIN draws AS d ON a.tenant = d.tenant AND a.inference_id = d.inference_id;

-- The strata of every window as they are known now: the rows of its last count.
CREATE OR REPLACE VIEW strata_current AS
SELECT * FROM strata FINAL
WHERE (task, window_from, known_at) IN (SELECT task, window_from, max(known_at) FROM strata GROUP BY task, window_from);

-- Rolling accuracy as it was known when its last window closed; labels that came later are not in it.
CREATE OR REPLACE VIEW accuracy_then AS
SELECT * FROM accuracy_by WHERE closed
ORDER BY known_at LIMIT 1 BY task, watermark, `by`, name;

-- The same as known now: with every label, draw and outcome that came since.
CREATE OR REPLACE VIEW accuracy_corrected AS
SELECT * FROM accuracy_by WHERE closed
ORDER BY known_at DESC LIMIT 1 BY task, watermark, `by`, name;

-- The newest figures of each task. The watermark goes back where the warehouse's clock was ahead: what was known beyond it before is
-- left out.
CREATE OR REPLACE VIEW accuracy_latest AS
SELECT * EXCEPT (reached, kept_at)
FROM accuracy_by
LEFT JOIN (SELECT task, watermark AS reached, known_at AS kept_at FROM monitor_progress FINAL) AS progress USING (task)
WHERE watermark <= reached OR known_at >= kept_at
ORDER BY watermark DESC, known_at DESC LIMIT 1 BY task, `by`, name;
