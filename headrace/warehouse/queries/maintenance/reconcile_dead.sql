-- The dead letters of a run of offsets that were ingested from a time on: one row a letter.
SELECT DISTINCT offset, record_index
FROM dead_letters
WHERE topic = {topic:String} AND partition = {partition:UInt16} AND offset BETWEEN {first:UInt64} AND {last:UInt64}
  AND ingested_at >= {since:DateTime64(3, 'UTC')}
