-- What the monitor saw last: one row a task and detector, with the decision and its reason, fired or not.
SELECT task, detector, version, watermark, n, statistic, threshold, fired, decision, reason
FROM evaluations FINAL
ORDER BY watermark DESC, generation DESC, looked_at DESC
LIMIT 1 BY task, detector
