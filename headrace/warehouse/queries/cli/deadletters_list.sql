-- The newest dead letters: one row a record, or an event of a packed one, that could not become a row.
-- place: topic/partition/offset/index, where index -1 is the whole record. replayed: it was sent again.
-- topic, reason: only those of a topic ('' for all), with a reason that contains this; since: not older than it.
SELECT concat(topic, '/', toString(partition), '/', toString(offset), '/', toString(record_index)) AS place,
       at, code, event_id, if(excerpt = '', length(tryBase64Decode(original)), JSONExtractUInt(excerpt, 'length')) AS bytes,
       (topic, partition, offset, record_index, digest) IN
           (SELECT topic, partition, offset, record_index, digest FROM replays) AS replayed,
       reason
FROM dead_letters FINAL
WHERE ({topic:String} = '' OR topic = {topic:String}) AND positionCaseInsensitive(reason, {reason:String}) > 0
  AND at >= {since:DateTime('UTC')}
ORDER BY at DESC, topic, partition, offset DESC, record_index
LIMIT {rows:UInt32}
