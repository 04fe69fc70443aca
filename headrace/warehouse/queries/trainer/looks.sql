-- One row: how many other candidates of the task met their test rows since the live version won, before this one first did; of one
-- that has not met them yet, how many there were. A candidate is what was tuned: it is named by its job, its name and the data
-- set that it was tuned on, however many data sets with more test rows it meets afterwards.
WITH
    met AS
    (
        SELECT job_id, name, if(JSONExtractString(detail, 'tuned_on') = '', dataset, JSONExtractString(detail, 'tuned_on')) AS tuned,
               min(at) AS first_at,
               (job_id, name, tuned) = ({job_id:UUID}, {candidate:String}, {tuned_on:String}) AS this
        FROM candidates FINAL
        WHERE task = {task:String} AND split = 'test' AND gate IN ('passed', 'failed', 'vetoed', 'undecided')
          AND at > (
              SELECT max(won.at) FROM candidates AS won FINAL
              WHERE won.task = {task:String} AND won.version = {live:String} AND won.gate = 'passed' AND won.split = 'test')
        GROUP BY job_id, name, tuned
    )
SELECT countIf(NOT this AND ((SELECT countIf(this) FROM met) = 0 OR first_at < (SELECT minIf(first_at, this) FROM met))) AS looks
FROM met
