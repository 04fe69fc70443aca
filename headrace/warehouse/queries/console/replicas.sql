-- What each gateway serves: one row a task and replica that gave a sign of life in the last hour.
-- per_s: requests a second over the {rate_s} seconds before its newest sign; a restart counts from zero again.
SELECT task, replica, max(r.at) AS newest,
       argMax(r.generation, r.at) AS generation, argMax(r.live, r.at) AS live, argMax(r.ready, r.at) AS ready,
       argMax(r.error, r.at) AS error, argMax(r.requests, r.at) AS requests, argMax(r.failed, r.at) AS failed,
       dateDiff('second', newest, now64(3)) AS age_s,
       greatest(0, toInt64(argMax(r.requests, r.at)) - toInt64(argMin(r.requests, r.at)))
           / greatest(1, dateDiff('millisecond', min(r.at), max(r.at)) / 1000) AS per_s
FROM
(
    SELECT *, max(at) OVER (PARTITION BY task, replica) AS newest_at
    FROM replicas FINAL
    WHERE at > now64(3) - INTERVAL 1 HOUR
) AS r
WHERE r.at >= r.newest_at - toIntervalSecond({rate_s:UInt32})
GROUP BY task, replica
ORDER BY task, replica
