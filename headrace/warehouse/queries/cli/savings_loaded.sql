-- What each gateway has loaded now, by the newest promotion of each task: one row a task, the versions.
SELECT task,
       arrayDistinct(arrayFilter(version -> version != '', [JSONExtractString(live, 'version'), JSONExtractString(canary, 'version'),
                                                            JSONExtractString(shadow, 'version'), JSONExtractString(previous, 'version')])) AS versions
FROM promotions FINAL
ORDER BY generation DESC
LIMIT 1 BY task
