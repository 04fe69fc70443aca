-- Keeps, in a partition that never leaves, what may go from one partition of arrivals and is not of the emitter under which its
-- event expired. Repeated, it keeps the same.
INSERT INTO arrivals (event_id, tenant, kind, revision, ground_truth, emitter, ingested_at, place)
SELECT event_id, tenant, kind, revision, ground_truth, emitter, ingested_at, 1
FROM arrivals
WHERE _partition_id = {partition:String}
  AND toUInt128(event_id) BETWEEN {first:UInt128} AND {last:UInt128}
  AND ingested_at < {arrived:DateTime64(3, 'UTC')}
  -- a hash of 128 bits makes a set of a month's events a third as large
  AND sipHash128(event_id, tenant, kind, revision, ground_truth, emitter) NOT IN
      (SELECT sipHash128(inference_id, tenant, 'inferences', toUInt32(0), false, emitter) FROM expired_inferences FINAL
       WHERE toUInt128(inference_id) BETWEEN {first:UInt128} AND {last:UInt128}
         -- what holds ids of any time may reach far: the minutes that it has ids of prune the key of the other table
         AND ({partition:String} NOT IN ('0', '999999')
              OR intDiv(toUInt128(inference_id), 72535549176877750482370560000) IN
             (SELECT intDiv(toUInt128(event_id), 72535549176877750482370560000) FROM arrivals
              WHERE _partition_id = {partition:String}
                AND toUInt128(event_id) BETWEEN {first:UInt128} AND {last:UInt128}))
       UNION ALL
       SELECT sipHash128(feedback_id, tenant, 'feedback', revision, ground_truth, emitter) FROM expired FINAL
       WHERE toUInt128(feedback_id) BETWEEN {first:UInt128} AND {last:UInt128}
         AND ({partition:String} NOT IN ('0', '999999')
              OR intDiv(toUInt128(feedback_id), 72535549176877750482370560000) IN
             (SELECT intDiv(toUInt128(event_id), 72535549176877750482370560000) FROM arrivals
              WHERE _partition_id = {partition:String}
                AND toUInt128(event_id) BETWEEN {first:UInt128} AND {last:UInt128})))
