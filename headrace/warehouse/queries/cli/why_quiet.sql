-- What the monitor saw when it last looked at a task: one row a detector, and one of the policy with what it decided.
-- A look of later than now is one while the warehouse's clock was ahead.
SELECT watermark AS at, 'evaluation' AS what, concat(detector, if(fired, ' fired', ' did not fire')) AS subject,
       concat(decision, if(decision = '', '', ': '), reason) AS about,
       map('fired', toFloat64(fired), 'n', toFloat64(n), 'statistic', statistic, 'threshold', threshold) AS numbers,
       map('detector', toString(detector), 'reason', reason) AS words
FROM evaluations FINAL
WHERE task = {task:String}
  AND (watermark, looked_at) IN (SELECT watermark, looked_at FROM evaluations
                                 WHERE task = {task:String} AND detector = 'policy' AND looked_at <= now64(6)
                                 ORDER BY looked_at DESC, watermark DESC LIMIT 1)
ORDER BY detector = 'policy', detector
