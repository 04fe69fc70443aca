-- How each model of a task did on each suite, newest first: one row a model and suite. failure: why it was not asked.
SELECT at, asked.1 AS suite, JSONExtractString(asked.2, 'version') AS suite_version, name AS model, version,
       split, JSONExtractUInt(asked.2, 'n') AS n, JSONExtractFloat(asked.2, 'accuracy') AS accuracy,
       JSONExtractFloat(asked.2, 'low') AS low, JSONExtractFloat(asked.2, 'high') AS high,
       JSONExtractString(asked.2, 'digest') AS digest, JSONExtractString(asked.2, 'failure') AS failure, job_id, attempt
FROM candidates FINAL
ARRAY JOIN JSONExtractKeysAndValuesRaw(detail, 'suites') AS asked
WHERE task = {task:String}
ORDER BY at DESC, suite, model
LIMIT {rows:UInt32}
