-- Keeps, in a partition that never leaves, what may go from one partition of arrivals and is not of the emitter under which its
-- event expired. Repeated, it keeps the same.
-- Of a month only hours are read in which an event was brought twice, or anything was stored that no pass has settled yet: in all
-- others each arrival is of its event's own emitter. In most months there are none.
INSERT INTO arrivals (event_id, tenant, kind, revision, ground_truth, emitter, ingested_at, place)
WITH
    (SELECT since FROM balance_tail) AS tail,
    hours AS
    (
        SELECT toUInt128(number) AS hour
        FROM numbers(toUInt64(intDiv({first:UInt128}, 4352132950612665028942233600000)),
                     if({partition:String} IN ('0', '999999'), 0,
                        toUInt64(intDiv({last:UInt128} - {first:UInt128}, 4352132950612665028942233600000)) + 1))
        WHERE number NOT IN
              (SELECT intDiv(toUnixTimestamp(hour), 3600) FROM reconciliations FINAL
               GROUP BY hour HAVING sum(repeated) = 0)
        UNION ALL
        -- what holds ids of any time may reach far: the hours that it has
        SELECT DISTINCT intDiv(toUInt128(event_id), 4352132950612665028942233600000)
        FROM arrivals
        WHERE _partition_id = {partition:String}
          AND toUInt128(event_id) BETWEEN {first:UInt128} AND {last:UInt128}
          AND ({partition:String} IN ('0', '999999') OR ingested_at >= tail)
    )
SELECT event_id, tenant, kind, revision, ground_truth, emitter, ingested_at, 1
FROM arrivals
WHERE _partition_id = {partition:String}
  AND toUInt128(event_id) BETWEEN {first:UInt128} AND {last:UInt128}
  AND intDiv(toUInt128(event_id), 4352132950612665028942233600000) IN hours
  AND ingested_at < {arrived:DateTime64(3, 'UTC')}
  -- a hash of 128 bits makes a set of a month's events a third as large
  AND sipHash128(event_id, tenant, kind, revision, ground_truth, emitter) NOT IN
      (SELECT sipHash128(inference_id, tenant, 'inferences', toUInt32(0), false, emitter) FROM expired_inferences FINAL
       WHERE toUInt128(inference_id) BETWEEN {first:UInt128} AND {last:UInt128}
         AND intDiv(toUInt128(inference_id), 4352132950612665028942233600000) IN hours
       UNION ALL
       SELECT sipHash128(feedback_id, tenant, 'feedback', revision, ground_truth, emitter) FROM expired FINAL
       WHERE toUInt128(feedback_id) BETWEEN {first:UInt128} AND {last:UInt128}
         AND intDiv(toUInt128(feedback_id), 4352132950612665028942233600000) IN hours)
