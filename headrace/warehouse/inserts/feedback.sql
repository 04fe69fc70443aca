-- Kafka records into `feedback`, one row an event; see inferences.sql. Feedback that names its answer by another reference
-- has no inference_id: the nil UUID. A label is stored as its id, with case and outer blanks folded.
INSERT INTO feedback
(
    feedback_id, inference_id, occurred_at, tenant, task, source, signal, session_id, trace_id, span_id, response_id,
    value, label, comment, blame, rater, rater_version, inclusion_probability, ground_truth, emitter, key_id, revision, schema_version, extra,
    given_id, given_inference_id,
    kafka_topic, kafka_partition, kafka_offset, kafka_index
)
SELECT
    toUUID(e.feedback_id), toUUID(ifNull(e.inference_id, '00000000-0000-0000-0000-000000000000')),
    parseDateTime64BestEffort(e.occurred_at, 6, 'UTC'), ifNull(e.tenant, 'default'), e.task, e.source, e.signal,
    e.session_id, e.trace_id, e.span_id, e.response_id,
    e.value, lowerUTF8(trimBoth(e.label, ' \t\r\n')), e.comment, ifNull(e.blame, ''), e.rater, e.rater_version, e.inclusion_probability,
    e.source NOT IN ('user', 'implicit'), e.emitter, e.key_id, e.revision, ifNull(e.schema_version, 1),
    if(e.extra IN ('', '{}'), '{}', replaceRegexpOne(e.extra, '^[{]\\s*[}]$', '{}')),
    ifNull(e.given_id, ''), ifNull(e.given_inference_id, ''),
    kafka_topic, kafka_partition, kafka_offset, first + place - 1
FROM input('
    kafka_topic LowCardinality(String), kafka_partition UInt16, kafka_offset UInt64, first UInt32,
    events Array(Tuple(
        feedback_id String, inference_id Nullable(String), occurred_at String, tenant Nullable(String), task String,
        source String, signal String, session_id String, trace_id String, span_id String, response_id String,
        value Nullable(Float64), label String, comment String, blame Nullable(String), rater String,
        rater_version String, inclusion_probability Float32, emitter String, key_id String, revision UInt32,
        schema_version Nullable(UInt16), extra String,
        given_id Nullable(String), given_inference_id Nullable(String)))')
ARRAY JOIN events AS e, arrayEnumerate(events) AS place
WHERE NOT throwIf(NOT (
    toString(toUUID(e.feedback_id)) = lower(e.feedback_id)
    AND ifNull(match(e.inference_id, '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$'), true)
    AND match(e.occurred_at, '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$')
    ), 'a form that is read event by event')
FORMAT JSONEachRow
