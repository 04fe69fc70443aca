-- The answers behind complaints: one row an answer that has arrived, what was asked and answered, the signals that
-- speak against it so far, and whether a judge has spoken.
WITH wanted AS (SELECT toUInt128(arrayJoin({ids:Array(UUID)})))
SELECT i.tenant AS tenant, i.inference_id AS inference_id, i.task AS task, i.arm AS arm, i.input AS input,
       i.label AS label, f.signals AS signals, f.judged AS judged
FROM (SELECT tenant, inference_id, task, arm, input, label FROM inferences FINAL
      WHERE toUInt128(inference_id) IN wanted) AS i
LEFT JOIN
(
    SELECT tenant, inference_id,
           arraySort(groupUniqArrayIf(signal, source IN ('user', 'implicit') AND (
               signal IN ('reroute', 'rephrase', 'escalation', 'abandon', 'correction')
               OR (signal = 'thumb' AND value <= 0) OR (signal = 'rating' AND value BETWEEN 1 AND 2)))) AS signals,
           countIf(source = 'judge' AND signal = 'verdict') > 0 AS judged
    FROM feedback
    WHERE inference_id IN {ids:Array(UUID)}
    GROUP BY tenant, inference_id
) AS f ON i.tenant = f.tenant AND i.inference_id = f.inference_id
