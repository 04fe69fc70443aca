-- What answers of a window can be drawn from: one row a layer (stratum and confidence). answers, drawn: in the window;
-- labelled, errors: in the span_ms before it (its own labels must not decide which of its answers get more). Answers whose
-- truth is known need no review.
SELECT concat(stratum, '/', confidence) AS layer,
       sumIf(s.answers, window_from = fromUnixTimestamp64Milli({window_from:Int64}, 'UTC')) AS answers,
       sumIf(s.audited, window_from = fromUnixTimestamp64Milli({window_from:Int64}, 'UTC')) AS drawn,
       sumIf(s.labelled, window_from < fromUnixTimestamp64Milli({window_from:Int64}, 'UTC')) AS labelled,
       sumIf(s.errors, window_from < fromUnixTimestamp64Milli({window_from:Int64}, 'UTC')) AS errors
FROM strata AS s FINAL
WHERE task = {task:String} AND stratum != 'known'
  AND window_from >= fromUnixTimestamp64Milli({window_from:Int64} - {span_ms:Int64}, 'UTC')
  AND window_from < fromUnixTimestamp64Milli({window_to:Int64}, 'UTC')
  AND (window_from, known_at) IN
      (SELECT window_from, max(known_at) FROM strata
       WHERE task = {task:String} AND window_from >= fromUnixTimestamp64Milli({window_from:Int64} - {span_ms:Int64}, 'UTC')
         AND window_from < fromUnixTimestamp64Milli({window_to:Int64}, 'UTC')
       GROUP BY window_from)
GROUP BY stratum, confidence
HAVING answers > 0
ORDER BY layer
