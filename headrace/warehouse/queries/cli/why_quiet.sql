-- What the monitor saw when it last looked at a task: one row a detector, and one of the policy with what it decided.
SELECT watermark AS at, 'evaluation' AS what, concat(detector, if(fired, ' fired', ' did not fire')) AS subject,
       concat(decision, if(decision = '', '', ': '), reason) AS about,
       map('fired', toFloat64(fired), 'n', toFloat64(n), 'statistic', statistic, 'threshold', threshold) AS numbers,
       map('detector', toString(detector), 'reason', reason) AS words
FROM evaluations FINAL
WHERE task = {task:String}
  AND (watermark, looked_at) IN (SELECT watermark, looked_at FROM evaluations WHERE task = {task:String} AND detector = 'policy'
                                 ORDER BY watermark DESC, looked_at DESC LIMIT 1)
ORDER BY detector = 'policy', detector
