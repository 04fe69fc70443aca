-- The ids that stand for given ids, by key: one row a key that has one. Of several, until a merge makes one of them, the one in
-- the earliest part: parts are named by the numbers of their first and last block, and blocks are numbered as they become visible.
SELECT toString(key) AS key, argMin(event_id, toUInt64(splitByChar('_', _part)[2])) AS event_id
FROM foreign_ids
WHERE foreign_ids.key IN {keys:Array(UInt128)}
GROUP BY foreign_ids.key
