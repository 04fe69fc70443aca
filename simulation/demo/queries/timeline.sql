-- The rolling accuracy that the monitor published, whoever answered ('*'), with its interval.
SELECT watermark, value, low, high, n
FROM accuracy FINAL
WHERE task = {task:String} AND version = '*' AND n > 0
ORDER BY watermark, known_at DESC
LIMIT 1 BY watermark
