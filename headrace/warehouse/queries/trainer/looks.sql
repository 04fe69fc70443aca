-- One row: how many data sets met a candidate of the task on their test rows since the live version won, this job's
-- own attempt left out. The same rows met twice by attempts of one job are one look.
SELECT uniqExact(job_id, dataset) AS looks
FROM candidates FINAL
WHERE task = {task:String} AND split = 'test' AND gate IN ('passed', 'failed', 'vetoed', 'undecided')
  AND NOT (job_id = {job_id:UUID} AND dataset = {dataset:String})
  AND at > (
      SELECT max(won.at) FROM candidates AS won FINAL
      WHERE won.task = {task:String} AND won.version = {live:String} AND won.gate = 'passed' AND won.split = 'test')
