-- Writes to `reconciliations` every balance that is not what the last pass wrote: one row an emitter, kind and hour.
-- It is later than the one that it replaces, however the clock was set meanwhile; no other is looked for than those of later than now.
INSERT INTO reconciliations
    (kind, emitter, hour, at, emitted, stored, parked, dead_lettered, expired, erased, repeated, missing, duplicated, sequence, sent, acknowledged)
SELECT kind, emitter, hour, greatest(now64(6), last + INTERVAL 1 MICROSECOND), emitted, stored, parked, dead_lettered, expired, erased, repeated, missing, duplicated, sequence, sent, acknowledged
FROM balance
LEFT JOIN
    (SELECT kind, emitter, hour, max(at) AS last FROM reconciliations WHERE at >= now64(6) GROUP BY kind, emitter, hour) AS ahead
    USING (kind, emitter, hour)
WHERE (kind, emitter, hour, emitted, stored, parked, dead_lettered, expired, erased, repeated, missing, duplicated, sequence, sent, acknowledged) NOT IN
      (SELECT kind, emitter, hour, emitted, stored, parked, dead_lettered, expired, erased, repeated, missing, duplicated, sequence, sent, acknowledged
       FROM reconciliations FINAL)
SETTINGS optimize_aggregation_in_order = 1, max_bytes_before_external_group_by = 300000000
