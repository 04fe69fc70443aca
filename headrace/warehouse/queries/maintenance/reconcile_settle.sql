-- Writes to `reconciliations` every balance that is not what the last pass wrote: one row an emitter, kind and hour.
INSERT INTO reconciliations
    (kind, emitter, hour, at, emitted, stored, parked, dead_lettered, expired, erased, repeated, missing, duplicated, sequence, sent, acknowledged)
SELECT kind, emitter, hour, now64(6), emitted, stored, parked, dead_lettered, expired, erased, repeated, missing, duplicated, sequence, sent, acknowledged
FROM balance
WHERE (kind, emitter, hour, emitted, stored, parked, dead_lettered, expired, erased, repeated, missing, duplicated, sequence, sent, acknowledged) NOT IN
      (SELECT kind, emitter, hour, emitted, stored, parked, dead_lettered, expired, erased, repeated, missing, duplicated, sequence, sent, acknowledged
       FROM reconciliations FINAL)
SETTINGS optimize_aggregation_in_order = 1, max_bytes_before_external_group_by = 300000000
