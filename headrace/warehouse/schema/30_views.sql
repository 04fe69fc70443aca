-- Answers, each once: what analysts query, without FINAL.
CREATE OR REPLACE VIEW inferences_current AS
SELECT * FROM inferences FINAL;

-- Feedback as its emitter said it last: the greatest revision of each, whatever it says, so that what was taken back is gone. A revision
-- that another API key brought is another's word, and takes away nothing.
--   answered_on: the day of the answer, as its id says (UTC); 1970-01-01 while a reference is not resolved
CREATE OR REPLACE VIEW feedback_latest AS
SELECT f.* FROM (SELECT *, toDate(UUIDv7ToDateTime(inference_id, 'UTC')) AS answered_on FROM feedback FINAL) AS f
LEFT ANTI JOIN
(
    SELECT toDate(UUIDv7ToDateTime(inference_id, 'UTC')) AS answered_on, tenant, inference_id, feedback_id, ground_truth, key_id, revision
    FROM feedback WHERE revision > 0
) AS r ON f.answered_on = r.answered_on AND f.tenant = r.tenant AND f.inference_id = r.inference_id AND f.feedback_id = r.feedback_id
      AND f.ground_truth = r.ground_truth AND f.key_id = r.key_id AND f.revision < r.revision;

-- The latest word of each rater on each answer: greatest (revision, occurred_at, feedback_id) of what was not revised since. Raters of
-- different API keys are different ones, whatever they are called. Feedback whose reference is not resolved (yet) is about an answer of its own.
-- Ask for a few days of `answered_on`: then nothing else is read.
--   answered_on: the day of the answer, as its id says (UTC); 1970-01-01 while a reference is not resolved
CREATE OR REPLACE VIEW feedback_current AS
SELECT * FROM feedback_latest
ORDER BY revision DESC, occurred_at DESC, toUInt128(feedback_id) DESC
LIMIT 1 BY answered_on, tenant, if(inference_id = toUUID('00000000-0000-0000-0000-000000000000'), feedback_id, inference_id),
           source, signal, rater, key_id;

-- How feedback found its answer, one row a feedback and revision.
--   how: given (it named the answer), id (it named it by its emitter's own id), response, span, trace or session (it named that,
--         and the answer was found), waiting (it named one that has not arrived)
CREATE OR REPLACE VIEW feedback_references AS
SELECT tenant, feedback_id, revision, occurred_at, source, signal, inference_id,
       multiIf(resolved_by != '', toString(resolved_by),
               inference_id = toUUID('00000000-0000-0000-0000-000000000000'), 'waiting', 'given') AS how,
       given_inference_id, response_id, span_id, trace_id, session_id, ingested_at
FROM feedback FINAL;

-- The labels of each task, one row each.
--   label: one of its labels
CREATE OR REPLACE VIEW labels_known AS
SELECT task, arrayJoin(labels) AS label FROM task_labels FINAL;

-- The settled truth of an answer, by precedence: expert > outcome > user's correction > judge (rank 4 to 1), each as said last.
-- One row an answer. A judge's label stands alone only until anyone else speaks; curation asks for rank >= 2.
--   label: the right label
--   settled_at: when it was said (UTC)
--   rank: 4 an expert, 3 an outcome, 2 the user's correction, 1 a judge
--   answered_on: the day of the answer, as its id says (UTC): ask for a few of them, and nothing else is read
CREATE OR REPLACE VIEW ground_truth_current AS
SELECT tenant, inference_id, label, source, signal, feedback_id, inclusion_probability, occurred_at AS settled_at, rater, key_id,
       answered_on, rank
FROM
(
    SELECT *,
           multiIf(source IN ('audit', 'reviewer'), 4,
                   source = 'outcome', 3,
                   source = 'user' AND signal IN ('correction', 'reroute'), 2,
                   source = 'judge', 1, 0) AS rank
    FROM feedback_latest
    WHERE label != '' AND rank > 0 AND inference_id != toUUID('00000000-0000-0000-0000-000000000000')
)
ORDER BY rank DESC, revision DESC, occurred_at DESC, toUInt128(feedback_id) DESC
LIMIT 1 BY answered_on, tenant, inference_id;

-- Answers whose audit may have changed since `audit_labels` was last brought up to date (streams/audits.py): a label, the
-- answer itself, or a uniform draw arrived, or a label was taken back or has gone over to another answer. A row's ingested_at is taken when its insert begins, hence the seconds.
CREATE OR REPLACE VIEW audit_touched AS
WITH
    (SELECT greatest(least(argMax(reached, at), now64(3)) - INTERVAL 5 SECOND, toDateTime64('2000-01-01 00:00:00', 3, 'UTC'))
     FROM cursors WHERE name = 'audit_labels') AS since
SELECT tenant, about AS inference_id
FROM feedback ARRAY JOIN arrayPushBack(former_ids, inference_id) AS about
WHERE ingested_at >= since AND (source = 'audit' OR revision > 0 AND source NOT IN ('user', 'implicit'))
UNION ALL
SELECT tenant, inference_id FROM inferences WHERE ingested_at >= since AND (audited OR revision > 0) AND arm != 'shadow'
UNION ALL
SELECT tenant, inference_id FROM audit_draws WHERE ingested_at >= since AND purpose = 'uniform';

-- The audit from the answers and the feedback themselves, columns as in `audit_labels`: one row an answer that was drawn for it and
-- has a blind label, the last word of it that was not taken back. Ask for a few days of `answered_on`, or for a few ids as toUInt128(inference_id):
-- then nothing else is read, though the feedback may have come years later.
--   answered: the label that the version chose
--   labelled_at: when the expert said it (UTC)
--   unknown: 1 where the label is none of the task's; a task whose labels are not known (yet) has any
--   error: 1 where the two differ and the label is one of the task's
--   word: order of labels of one answer, the greatest counts: revision, time, feedback_id
--   answered_on: the day of the answer, as its id says (UTC)
CREATE OR REPLACE VIEW audit_said AS
SELECT
    i.task AS task, i.tenant AS tenant, i.inference_id AS inference_id, i.occurred_at AS occurred_at,
    i.version AS version, i.arm AS arm, i.input AS input, i.label AS answered, i.audit_probability AS audit_probability,
    f.label AS label, (i.task, f.label) NOT IN (SELECT task, label FROM labels_known) AND i.task IN (SELECT task FROM task_labels) AS unknown,
    f.feedback_id AS feedback_id, f.occurred_at AS labelled_at, f.rater AS rater,
    f.label != i.label AND NOT unknown AS error, f.word AS word, i.answered_on AS answered_on
FROM
(
    SELECT answered_on, tenant, inference_id, label, feedback_id, occurred_at, rater, word
    FROM
    (
        SELECT tenant, inference_id, label, feedback_id, occurred_at, rater, source, signal,
               answered_on,
               bitOr(bitShiftLeft(toUInt256(revision), 192),
                     bitOr(bitShiftLeft(toUInt256(greatest(0, toUnixTimestamp64Micro(occurred_at))), 128),
                           toUInt256(toUInt128(feedback_id)))) AS word
        FROM feedback_latest
    )
    WHERE source = 'audit' AND signal = 'label' AND label != ''
    ORDER BY word DESC
    LIMIT 1 BY answered_on, tenant, inference_id
) AS f
INNER JOIN
(
    SELECT task, tenant, inference_id, occurred_at, version, arm, input, label, audit_probability,
           toDate(UUIDv7ToDateTime(inference_id, 'UTC')) AS answered_on
    FROM inferences FINAL
    WHERE arm != 'shadow' AND (audited OR (tenant, inference_id) IN
                                          (SELECT tenant, inference_id FROM audit_draws WHERE purpose = 'uniform'))
) AS i ON f.answered_on = i.answered_on AND f.tenant = i.tenant AND f.inference_id = i.inference_id;

-- The audit: answers drawn by a hash of their id, when they are stored or later (uniform draws), and labelled blind. One row a
-- labelled answer that users saw. Targeted draws are never among them: they are no fair sample. Answers whose label is none of
-- the task's are in `labels_unknown` instead.
--   task: the task
--   inference_id: the answer
--   occurred_at: when it was answered (UTC)
--   answered: the label that the version chose
--   label: the label that the expert gave, who saw the question alone
--   labelled_at: when the expert said it (UTC)
--   error: 1 where the two differ
CREATE OR REPLACE VIEW audit_current AS
SELECT task, tenant, inference_id, occurred_at, version, arm, input, answered, audit_probability,
       label, feedback_id, labelled_at, rater, error
FROM audit_labels FINAL
WHERE NOT unknown AND (tenant, inference_id) NOT IN (SELECT tenant, inference_id FROM audit_touched)
UNION ALL
SELECT task, tenant, inference_id, occurred_at, version, arm, input, answered, audit_probability,
       label, feedback_id, labelled_at, rater, error
FROM audit_said
WHERE NOT unknown AND (tenant, inference_id) IN (SELECT tenant, inference_id FROM audit_touched)
  AND answered_on IN (SELECT toDate(UUIDv7ToDateTime(inference_id, 'UTC')) FROM audit_touched)
  AND toUInt128(inference_id) IN (SELECT toUInt128(inference_id) FROM audit_touched);

-- Rows of `audit_labels` that mean something else by now, as they are now: labels that became one of the task's when the plan
-- changed, or ceased to be, those that were copied before labels were stored as ids, and those that were renamed since.
CREATE OR REPLACE VIEW labels_judged AS
SELECT task, tenant, inference_id, occurred_at, version, arm, input, lowerUTF8(trimBoth(l.answered, ' \t\r\n')) AS answered,
       audit_probability, lowerUTF8(trimBoth(l.label, ' \t\r\n')) AS label,
       (task, label) NOT IN (SELECT task, label FROM labels_known) AND task IN (SELECT task FROM task_labels) AS unknown,
       feedback_id, labelled_at, rater, word, place
FROM audit_labels AS l FINAL
WHERE l.label != '' AND (answered, label, unknown, label != answered AND NOT unknown) != (l.answered, l.label, l.unknown, l.error);

-- Labels that the audit gave and that are none of the task's: a name that was typed, or a label that the plan no longer has.
-- One row a task and label. They count neither as right nor as wrong; a rater may say it again with another label.
--   answers: whose last word it is
--   raters: who said it, at most five
--   newest: when it was said last (UTC)
CREATE OR REPLACE VIEW labels_unknown AS
SELECT task, label, count() AS answers, groupUniqArray(5)(rater) AS raters, max(labelled_at) AS newest
FROM audit_labels FINAL
WHERE unknown AND label != ''
GROUP BY task, label;

-- What experts are asked next. audit: drawn (when it was stored, or later into audit_draws) and not yet labelled, to be
-- judged blind, so no answer is shown. review: a judge blames routing and no expert has spoken.
--   kind: audit or review
--   label: review: the label that the version chose; empty for an audit
--   judged_label: review: the label that the judge would have chosen; empty for an audit
--   inclusion_probability: audit: with which probability it could be drawn; 0 for a review
--   answered_on: the day of the answer, as its id says (UTC): ask for a few of them, and nothing else is read
CREATE OR REPLACE VIEW review_queue AS
SELECT 'audit' AS kind, i.task AS task, i.tenant AS tenant, i.inference_id AS inference_id, i.occurred_at AS occurred_at,
       i.input AS input, '' AS label, '' AS judged_label,
       toFloat32(greatest(i.audit_probability * i.audited, d.probability)) AS inclusion_probability, i.answered_on AS answered_on
FROM
(
    SELECT task, tenant, inference_id, occurred_at, input, audited, audit_probability,
           toDate(UUIDv7ToDateTime(inference_id, 'UTC')) AS answered_on
    FROM inferences FINAL
    WHERE arm != 'shadow' AND (audited OR (tenant, inference_id) IN (SELECT tenant, inference_id FROM audit_draws))
) AS i
LEFT ANTI JOIN
(
    SELECT tenant, inference_id, toDate(UUIDv7ToDateTime(inference_id, 'UTC')) AS answered_on
    FROM feedback WHERE source = 'audit' AND signal = 'label'
) AS f ON i.answered_on = f.answered_on AND i.tenant = f.tenant AND i.inference_id = f.inference_id
LEFT JOIN
    (SELECT tenant, inference_id, max(inclusion_probability) AS probability FROM audit_draws GROUP BY tenant, inference_id)
    AS d ON i.tenant = d.tenant AND i.inference_id = d.inference_id
UNION ALL
SELECT 'review' AS kind, i.task, i.tenant, i.inference_id, i.occurred_at, i.input, i.label, f.label AS judged_label,
       toFloat32(0) AS inclusion_probability, i.answered_on
FROM
(
    SELECT task, tenant, inference_id, occurred_at, input, label,
           toDate(UUIDv7ToDateTime(inference_id, 'UTC')) AS answered_on
    FROM inferences FINAL WHERE arm != 'shadow'
) AS i
INNER JOIN
(
    SELECT tenant, inference_id, any(label) AS label, answered_on
    FROM feedback_latest WHERE source = 'judge' AND signal = 'verdict' AND blame = 'routing'
    GROUP BY answered_on, tenant, inference_id
) AS f ON i.answered_on = f.answered_on AND i.tenant = f.tenant AND i.inference_id = f.inference_id
LEFT ANTI JOIN
(
    SELECT tenant, inference_id, toDate(UUIDv7ToDateTime(inference_id, 'UTC')) AS answered_on FROM feedback WHERE source = 'reviewer'
) AS r ON i.answered_on = r.answered_on AND i.tenant = r.tenant AND i.inference_id = r.inference_id;

-- A version's days of event time, rolled up from its windows, for all tenants together: they stay when the rows behind them
-- are no longer kept. One row a task, version, arm and day; a window longer than a day stands on its first one. Each moment is counted
-- once: where the plan's `size_s` changed, a window that overlaps a larger one of its task is left out, for the larger one covers all
-- of both until the smaller ones are complete (then the monitor empties it).
--   day: the day (UTC)
--   latency_p50_ms: milliseconds until the last token: the mean of the windows' medians, weighted by their requests
--   latency_p95_ms: milliseconds until the last token: the greatest of the windows' 95th percentiles
CREATE OR REPLACE VIEW days AS
SELECT w.task AS task, w.version AS version, w.arm AS arm, toDate(w.window_from) AS day,
       sum(w.requests) AS requests, sum(w.audited) AS audited, sum(w.labelled) AS labelled, sum(w.errors) AS errors,
       sum(w.thumbs_up) AS thumbs_up, sum(w.thumbs_down) AS thumbs_down, sum(w.out_of_scope) AS out_of_scope,
       sum(w.latency_p50_ms * w.requests) / sum(w.requests) AS latency_p50_ms, max(w.latency_p95_ms) AS latency_p95_ms,
       sum(w.cost) AS cost
FROM windows AS w FINAL
WHERE w.requests > 0
  AND (w.task, w.window_from, w.window_to) NOT IN
      (
          SELECT task, window_from, window_to
          FROM
          (
              SELECT s.task AS task, s.window_from AS window_from, s.window_to AS window_to, l.size AS size,
                     arrayJoin([intDiv(toUnixTimestamp64Milli(s.window_from), size) * size,
                                intDiv(toUnixTimestamp64Milli(s.window_to) - 1, size) * size]) AS start
              FROM windows AS s
              INNER JOIN
              (
                  SELECT DISTINCT task, toUnixTimestamp64Milli(window_to) - toUnixTimestamp64Milli(window_from) AS size FROM windows
              ) AS l ON l.task = s.task
              WHERE size > toUnixTimestamp64Milli(s.window_to) - toUnixTimestamp64Milli(s.window_from)
          )
          WHERE (task, start, size) IN
                (SELECT task, toUnixTimestamp64Milli(window_from), toUnixTimestamp64Milli(window_to) - toUnixTimestamp64Milli(window_from)
                 FROM windows FINAL WHERE requests > 0)
      )
GROUP BY task, version, arm, day;
