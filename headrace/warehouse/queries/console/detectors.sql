-- What the monitor saw last: one row a task and detector, with the decision and its reason, fired or not. A look
-- of later than now is one while the warehouse's clock was ahead.
SELECT task, detector, version, watermark, n, statistic, threshold, fired, decision, reason
FROM evaluations FINAL
WHERE looked_at <= now64(6)
ORDER BY looked_at DESC, watermark DESC, generation DESC
LIMIT 1 BY task, detector
