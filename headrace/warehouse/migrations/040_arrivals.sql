-- What another emitter sent too is a place of its own.
ALTER TABLE reconciliations ADD COLUMN IF NOT EXISTS repeated Int64 AFTER erased;
-- Which emitter brought the events of the last day, and what no pass has settled: a client may send them once more to a gateway
-- that starts anew with this version. What came before reconciles as it did.
INSERT INTO arrivals (event_id, tenant, kind, revision, ground_truth, emitter, ingested_at, place)
SELECT inference_id, tenant, 'inferences', 0, false, emitter, ingested_at,
       multiIf(UUIDv7ToDateTime(inference_id, 'UTC') < ingested_at - INTERVAL 1000 DAY, 0, UUIDv7ToDateTime(inference_id, 'UTC') > ingested_at + INTERVAL 10 MINUTE, 999999, toYYYYMM(UUIDv7ToDateTime(inference_id, 'UTC')))
FROM inferences
WHERE ingested_at >= least(now64(3) - INTERVAL 1 DAY,
                           (SELECT maxIf(until, until <= now64(3)) FROM balance_passes) - INTERVAL 10 MINUTE)
SETTINGS throw_on_max_partitions_per_insert_block = 0;
INSERT INTO arrivals (event_id, tenant, kind, revision, ground_truth, emitter, ingested_at, place)
SELECT feedback_id, tenant, 'feedback', revision, ground_truth, emitter, ingested_at,
       multiIf(UUIDv7ToDateTime(feedback_id, 'UTC') < ingested_at - INTERVAL 1000 DAY, 0, UUIDv7ToDateTime(feedback_id, 'UTC') > ingested_at + INTERVAL 10 MINUTE, 999999, toYYYYMM(UUIDv7ToDateTime(feedback_id, 'UTC')))
FROM feedback
WHERE ingested_at >= least(now64(3) - INTERVAL 1 DAY,
                           (SELECT maxIf(until, until <= now64(3)) FROM balance_passes) - INTERVAL 10 MINUTE)
SETTINGS throw_on_max_partitions_per_insert_block = 0;
