-- Keeps, in a partition that never leaves, what may go from one partition of arrivals and is not of the emitter under which its
-- event expired. Repeated, it keeps the same.
-- Hours in which each emitter's arrivals are what expired under it, by their number and the XOR of hashes of their ids, keep nothing:
-- in most months these are all, and no set of a month's events is made.
INSERT INTO arrivals (event_id, tenant, kind, revision, ground_truth, emitter, ingested_at, place)
WITH
    (
        SELECT groupUniqArray(hour)
        FROM
        (
            SELECT hour
            FROM
            (
                SELECT intDiv(toUInt128(event_id), 4352132950612665028942233600000) AS hour, kind, tenant, emitter, revision, ground_truth,
                       toInt64(1) AS arrived, cityHash64(event_id) AS hash
                FROM arrivals
                WHERE _partition_id = {partition:String}
                  AND toUInt128(event_id) BETWEEN {first:UInt128} AND {last:UInt128}
                  AND ingested_at < {arrived:DateTime64(3, 'UTC')}
                UNION ALL
                -- what holds ids of any time is a small part of what expired meanwhile: all of its hours differ
                SELECT intDiv(toUInt128(inference_id), 4352132950612665028942233600000), 'inferences', tenant, emitter, 0, false,
                       -1, cityHash64(inference_id)
                FROM expired_inferences
                WHERE toUInt128(inference_id) BETWEEN {first:UInt128} AND {last:UInt128}
                  AND {partition:String} NOT IN ('0', '999999')
                UNION ALL
                SELECT intDiv(toUInt128(feedback_id), 4352132950612665028942233600000), 'feedback', tenant, emitter, revision,
                       ground_truth, -1, cityHash64(feedback_id)
                FROM expired
                WHERE toUInt128(feedback_id) BETWEEN {first:UInt128} AND {last:UInt128}
                  AND {partition:String} NOT IN ('0', '999999')
            )
            GROUP BY hour, kind, tenant, emitter, revision, ground_truth
            HAVING sum(arrived) != 0 OR groupBitXor(hash) != 0
        )
    ) AS differing,
    hours AS (SELECT arrayJoin(differing) AS hour)
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
