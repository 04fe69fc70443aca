-- Everything that is known of one id, oldest first. One row a mention: what it is, when, and in words. Of an answer its last
-- revision is told, of feedback every one.
SELECT * FROM
(
    SELECT 'answer' AS what, occurred_at AS at, tenant, emitter, revision,
           concat(version, ' (', arm, ') answered ', task, ' with ', if(label = '', 'free text', label)) AS words,
           concat(kafka_topic, '/', toString(kafka_partition), '/', toString(kafka_offset), '/', toString(kafka_index)) AS place,
           ingested_at
    FROM inferences FINAL
    WHERE toUInt128(inference_id) = toUInt128({id:UUID})
    UNION ALL
    SELECT 'feedback', occurred_at, tenant, emitter, revision,
           concat(source, ' said ', signal, multiIf(label != '', concat(' ', label), value IS NOT NULL, concat(' ', toString(value)), ''),
                  if(toUInt128(inference_id) = 0, ' of an answer that is not found yet', concat(' of ', toString(inference_id)))),
           concat(kafka_topic, '/', toString(kafka_partition), '/', toString(kafka_offset), '/', toString(kafka_index)),
           ingested_at
    FROM feedback FINAL
    WHERE toUInt128(feedback_id) = toUInt128({id:UUID})
    UNION ALL
    SELECT 'feedback about it', occurred_at, tenant, emitter, revision, concat(source, ' said ', signal, ', ', toString(feedback_id)),
           concat(kafka_topic, '/', toString(kafka_partition), '/', toString(kafka_offset), '/', toString(kafka_index)),
           ingested_at
    FROM feedback FINAL
    WHERE inference_id = {id:UUID}
    UNION ALL
    SELECT if(kind = 'inferences', 'answer', 'feedback'), ingested_at, tenant, emitter, revision, 'the same, stored from another emitter too', '',
           ingested_at
    FROM arrivals FINAL
    WHERE toUInt128(event_id) = toUInt128({id:UUID})
      AND (kind, tenant, revision, emitter) NOT IN
          (SELECT 'inferences', tenant, toUInt32(0), emitter FROM inferences FINAL WHERE toUInt128(inference_id) = toUInt128({id:UUID})
           UNION ALL
           SELECT 'feedback', tenant, revision, emitter FROM feedback FINAL WHERE toUInt128(feedback_id) = toUInt128({id:UUID})
           UNION ALL
           SELECT 'inferences', tenant, toUInt32(0), emitter FROM expired_inferences FINAL
           WHERE toUInt128(inference_id) = toUInt128({id:UUID})
           UNION ALL
           SELECT 'feedback', tenant, revision, emitter FROM expired FINAL WHERE toUInt128(feedback_id) = toUInt128({id:UUID}))
    UNION ALL
    SELECT 'dead letter', at, '', emitter, revision, reason,
           concat(topic, '/', toString(partition), '/', toString(offset), '/', toString(record_index)), ingested_at
    FROM dead_letters FINAL
    WHERE event_id = {id:UUID}
    UNION ALL
    SELECT 'expired', expired_at, tenant, emitter, revision, why, '', expired_at
    FROM expired FINAL
    WHERE toUInt128(feedback_id) = toUInt128({id:UUID})
    UNION ALL
    SELECT 'expired', expired_at, tenant, emitter, 0, 'retention', '', expired_at
    FROM expired_inferences FINAL
    WHERE toUInt128(inference_id) = toUInt128({id:UUID})
)
ORDER BY ingested_at, what
