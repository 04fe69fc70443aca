-- What a data set was made for: one row a job and attempt with the job's last state, the candidates that were tried on it, and the version
-- that one of them became. number is 0 where a person built it.
SELECT d.job_id AS job_id, d.attempt AS attempt, d.at AS at, j.number AS number, j.state AS state,
       c.candidates AS candidates, c.version AS version
FROM (SELECT job_id, attempt, at FROM datasets FINAL WHERE dataset = {dataset:String}) AS d
LEFT JOIN
    (SELECT job_id, argMax(number, (at, heartbeat_at)) AS number, argMax(state, (at, heartbeat_at)) AS state
     FROM jobs GROUP BY job_id) AS j ON d.job_id = j.job_id
LEFT JOIN
    (SELECT job_id, attempt, arraySort(groupUniqArrayIf(toString(name), gate != 'reference')) AS candidates,
            maxIf(toString(version), gate = 'passed') AS version
     FROM candidates FINAL WHERE dataset = {dataset:String} GROUP BY job_id, attempt) AS c
    ON d.job_id = c.job_id AND d.attempt = c.attempt
ORDER BY at, attempt
