-- The balance by emitter, by hour of the events' ids, or by both: one row a kind and emitter and hour, where `by_emitter`
-- and `by_hour` are 1. Columns as in `reconcile`; emitted is by the counters' own time, so that an hour may count what
-- belongs to the next. hour 1970-01-01: dead letters without a usable id. Hours before `since` are left out.
SELECT kind, if({by_emitter:UInt8} = 1, emitter, '*') AS source,
       if({by_hour:UInt8} = 1, toString(balance.hour), '*') AS of_hour,
       sum(balance.emitted) AS emitted, sum(balance.stored) AS stored, sum(balance.parked) AS parked,
       sum(balance.dead_lettered) AS dead_lettered, sum(balance.expired) AS expired, sum(balance.erased) AS erased,
       sum(balance.repeated) AS repeated, sum(balance.missing) AS missing, sum(balance.duplicated) AS duplicated
FROM balance
WHERE balance.hour >= {since:DateTime('UTC')} OR {since:DateTime('UTC')} <= toDateTime('2000-01-01 00:00:00', 'UTC')
GROUP BY kind, source, of_hour
HAVING emitted != 0 OR stored != 0 OR parked != 0 OR dead_lettered != 0 OR expired != 0 OR erased != 0 OR repeated != 0
    OR missing != 0
ORDER BY kind = 'inferences' DESC, of_hour, source
