-- A data set: one row of what was counted when it was made last. `format`: how its digest is made.
SELECT dataset, task, at, format, train, validation, test, forget, exclusions, funnel
FROM datasets FINAL
WHERE dataset = {dataset:String}
ORDER BY at DESC
LIMIT 1
