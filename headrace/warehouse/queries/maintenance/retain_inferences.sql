-- Adds to `expired_inferences` the answers of one partition whose id is of a time before `horizon`, and of which no row was
-- ingested since `arrived`: an import of old history may go on. Repeated, it adds nothing.
INSERT INTO expired_inferences (inference_id, tenant, emitter, expired_at)
SELECT inference_id, tenant, emitter, now64(3)
FROM inferences FINAL
WHERE _partition_id = {partition:String}
  -- with FINAL the key prunes what is read, and the partition does not
  AND toUInt128(inference_id) BETWEEN {first:UInt128} AND {last:UInt128}
  AND ingested_at < {arrived:DateTime64(3, 'UTC')}
  AND (toUInt128(inference_id), tenant) NOT IN
      (SELECT toUInt128(inference_id), tenant FROM expired_inferences
       WHERE toUInt128(inference_id) BETWEEN {first:UInt128} AND {last:UInt128}
         -- what holds ids of any time may reach far: the minutes that it has ids of prune the key of the other table
         AND ({partition:String} NOT IN ('0', '999999')
              OR intDiv(toUInt128(inference_id), 72535549176877750482370560000) IN
             (SELECT intDiv(toUInt128(inference_id), 72535549176877750482370560000) FROM inferences
              WHERE _partition_id = {partition:String}
                AND toUInt128(inference_id) BETWEEN {first:UInt128} AND {last:UInt128})))
-- each id comes once, in the order of the key
SETTINGS optimize_on_insert = 0
