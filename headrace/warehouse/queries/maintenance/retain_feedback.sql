-- Adds to `expired` the feedback of one partition whose id is of a time before `horizon`, and of which no row was ingested
-- since `arrived`. Repeated, it adds nothing.
INSERT INTO expired (feedback_id, tenant, revision, ground_truth, emitter, expired_at, why)
SELECT feedback_id, tenant, revision, ground_truth, emitter, now64(3), 'retention'
FROM feedback FINAL
WHERE _partition_id = {partition:String}
  -- with FINAL the key prunes what is read, and the partition does not
  AND toUInt128(feedback_id) BETWEEN {first:UInt128} AND {last:UInt128}
  AND ingested_at < {arrived:DateTime64(3, 'UTC')}
  AND (toUInt128(feedback_id), tenant, revision, ground_truth) NOT IN
      (SELECT toUInt128(feedback_id), tenant, revision, ground_truth FROM expired
       WHERE toUInt128(feedback_id) BETWEEN {first:UInt128} AND {last:UInt128}
         -- what holds ids of any time may reach far: the minutes that it has ids of prune the key of the other table
         AND ({partition:String} NOT IN ('0', '999999')
              OR intDiv(toUInt128(feedback_id), 72535549176877750482370560000) IN
             (SELECT intDiv(toUInt128(feedback_id), 72535549176877750482370560000) FROM feedback
              WHERE _partition_id = {partition:String}
                AND toUInt128(feedback_id) BETWEEN {first:UInt128} AND {last:UInt128})))
-- each id comes once, in the order of the key
SETTINGS optimize_on_insert = 0
