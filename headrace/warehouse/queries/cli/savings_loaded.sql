-- What each gateway has loaded now, by the newest promotion of each task: one row a task, the versions.
SELECT task,
       arrayDistinct(arrayFilter(version -> version != '', arrayMap(served -> JSONExtractString(served, 'version'),
           arrayConcat([live, canary, shadow, previous], arrayMap(pin -> pin.2, JSONExtractKeysAndValuesRaw(extra, 'pins')))))) AS versions
FROM promotions FINAL
ORDER BY generation DESC
LIMIT 1 BY task
