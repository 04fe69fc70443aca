-- What each version answers a day, shadow answers apart, since {since_us} (microseconds since 1970). One row a task and version: requests
-- and US dollars a day, over the time between the task's first and last answer, an hour at least. Answers of the future are left out.
SELECT task, version,
       requests * 86400 / span_s AS requests_per_day, usd * 86400 / span_s AS usd_per_day
FROM
(
    SELECT task, version, requests, usd,
           greatest(dateDiff('second', min(first_at) OVER (PARTITION BY task), max(last_at) OVER (PARTITION BY task)), 3600) AS span_s
    FROM
    (
        SELECT task, version, count() AS requests, sum(cost) AS usd, min(occurred_at) AS first_at, max(occurred_at) AS last_at
        FROM inferences_current
        WHERE arm != 'shadow' AND occurred_at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC')
          AND occurred_at <= ingested_at + INTERVAL 10 MINUTE
        GROUP BY task, version
    )
)
ORDER BY task, version
