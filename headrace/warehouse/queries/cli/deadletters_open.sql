-- Dead letters to send again, of those that were there at a time, by place after the given one: one row each, with its original bytes in base64, or
-- the excerpt of those that stay in their topic. Left out: those that were sent again before, those whose event became a
-- row meanwhile, and those whose bytes are kept no longer.
SELECT topic, partition, offset, record_index, digest, original, excerpt
FROM dead_letters FINAL
WHERE topic IN ('headrace.inferences', 'headrace.feedback', 'headrace.labels') AND ({topic:String} = '' OR topic = {topic:String})
  AND (topic, partition, offset, record_index, digest) >
      ({after_topic:String}, {after_partition:UInt16}, {after_offset:UInt64}, {after_index:Int32}, {after_digest:UInt64})
  AND (topic, partition, offset, record_index, digest) NOT IN
      (SELECT topic, partition, offset, record_index, digest FROM replays)
  AND (original != '' OR excerpt != '') AND ingested_at < {there_at:DateTime64(3, 'UTC')}
  AND (ifNull(event_id, toUUID('00000000-0000-0000-0000-000000000000')), tenant) NOT IN
      (SELECT inference_id, inferences.tenant FROM inferences WHERE toUInt128(inference_id) IN
          (SELECT toUInt128(assumeNotNull(event_id)) FROM dead_letters WHERE event_id IS NOT NULL))
  AND (ifNull(event_id, toUUID('00000000-0000-0000-0000-000000000000')), tenant, revision) NOT IN
      (SELECT feedback_id, feedback.tenant, feedback.revision FROM feedback WHERE toUInt128(feedback_id) IN
          (SELECT toUInt128(assumeNotNull(event_id)) FROM dead_letters WHERE event_id IS NOT NULL))
ORDER BY topic, partition, offset, record_index, digest
LIMIT {rows:UInt32}
