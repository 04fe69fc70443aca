-- Data sets, the newest first, one row each. `made_for`: the jobs that it was curated for, by their numbers, or build (a person asked for it);
-- `versions`: what was trained on it and passed the gate; `erased`: rows that an erasure has emptied.
WITH
    made AS
    (
        SELECT dataset, any(task) AS of_task, max(at) AS newest, any(train) AS train, any(validation) AS validation,
               any(test) AS test, any(forget) AS forget, any(format) AS format, groupUniqArray(job_id) AS jobs
        FROM datasets FINAL
        WHERE {task:String} IN ('', task)
        GROUP BY dataset
        ORDER BY newest DESC
        LIMIT {rows:UInt32}
    )
SELECT m.dataset AS dataset, m.of_task AS task, m.newest AS at, m.train AS train, m.validation AS validation, m.test AS test,
       m.forget AS forget, e.erased AS erased,
       arrayStringConcat(arraySort(arrayMap(job -> if(job = toUUID('00000000-0000-0000-0000-000000000000'), 'build', if(n.numbers[job] = '', 'a job', concat('job ', n.numbers[job]))),
                                            m.jobs)), ', ') AS made_for,
       arrayStringConcat(v.versions, ', ') AS versions
FROM made AS m
CROSS JOIN
    (SELECT mapFromArrays(groupArray(job_id), groupArray(toString(number))) AS numbers
     FROM (SELECT job_id, any(number) AS number FROM jobs GROUP BY job_id)) AS n
LEFT JOIN
    (SELECT dataset, count() AS erased FROM dataset_rows FINAL
     WHERE erasure != '' AND dataset IN (SELECT dataset FROM made) GROUP BY dataset) AS e ON m.dataset = e.dataset
LEFT JOIN
    (SELECT dataset, arraySort(groupUniqArray(toString(version))) AS versions FROM candidates FINAL
     WHERE gate = 'passed' AND version != '' GROUP BY dataset) AS v ON m.dataset = v.dataset
ORDER BY at DESC, dataset
