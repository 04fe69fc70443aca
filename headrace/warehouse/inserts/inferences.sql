-- Kafka records into `inferences`, one row an event. The data is a JSON object a record: where it came from, and `events`
-- as the emitter wrote them, checked by headrace.contract.events.Inference in its strict mode. An absent field becomes the
-- model's default. Forms that ClickHouse could read otherwise than pydantic did refuse the block (395, throwIf): ids that
-- are not 36 characters of hexadecimal digits and dashes, times that are not RFC 3339 with at most nanoseconds, and
-- scores with a label twice.
-- The base audit is drawn here: a keyed hash of the id, as a number from 0 up to 1, below the rate of the answer's task.
-- What an event says of it is not read. A label is stored as its id, with case and outer blanks folded (as in feedback.sql).
-- An event without a signature, under an id that bears a gateway's mark (see
-- headrace.access.proofs), is refused.
INSERT INTO inferences
(
    inference_id, occurred_at, tenant, task, version, arm, session_id, user_ref, input, output, label, scores,
    first_token_ms, latency_ms, tokens_in, tokens_out, cost, trace_id, span_id, response_id, consent, parent_id,
    audited, audit_probability, signed, emitter, key_id, revision, schema_version, extra,
    given_id, given_parent_id,
    kafka_topic, kafka_partition, kafka_offset, kafka_index
)
SELECT
    toUUID(e.inference_id), parseDateTime64BestEffort(e.occurred_at, 6, 'UTC'), ifNull(e.tenant, 'default'),
    e.task, e.version, ifNull(e.arm, 'live') AS arm, e.session_id, e.user_ref, e.input, e.output,
    lowerUTF8(trimBoth(e.label, ' \t\r\n')), e.scores,
    e.first_token_ms, e.latency_ms, e.tokens_in, e.tokens_out, e.cost, e.trace_id, e.span_id, e.response_id,
    ifNull(e.consent, true), toUUID(e.parent_id),
    bitShiftRight(sipHash64Keyed((audit_key_0, audit_key_1), toUUID(e.inference_id)), 11) / 9007199254740992 < rate,
    if(arm = 'shadow', 0, audit_rates[e.task]) AS rate, ifNull(e.proof, '') != '', e.emitter, e.key_id, e.revision, ifNull(e.schema_version, 1),
    if(e.extra IN ('', '{}'), '{}', replaceRegexpOne(e.extra, '^[{]\\s*[}]$', '{}')),
    ifNull(e.given_id, ''), ifNull(e.given_parent_id, ''),
    kafka_topic, kafka_partition, kafka_offset, first + place - 1
FROM input('
    kafka_topic LowCardinality(String), kafka_partition UInt16, kafka_offset UInt64, first UInt32,
    audit_key_0 UInt64, audit_key_1 UInt64, audit_rates Map(LowCardinality(String), Float64),
    mark_key_0 UInt64, mark_key_1 UInt64,
    events Array(Tuple(
        inference_id String, occurred_at String, tenant Nullable(String), task String, version String,
        arm Nullable(String), session_id String, user_ref String, input String, output String, label String,
        scores Map(LowCardinality(String), Float32), first_token_ms Float32, latency_ms Float32, tokens_in UInt32,
        tokens_out UInt32, cost Float64, trace_id String, span_id String, response_id String,
        consent Nullable(Bool), parent_id Nullable(String), audited Bool, audit_probability Float32,
        proof Nullable(String), emitter String, key_id String, revision UInt32, schema_version Nullable(UInt16), extra String,
        given_id Nullable(String), given_parent_id Nullable(String)))')
ARRAY JOIN events AS e, arrayEnumerate(events) AS place
WHERE NOT throwIf(NOT (
    toString(toUUID(e.inference_id)) = lower(e.inference_id)
    AND ifNull(match(e.parent_id, '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$'), true)
    AND match(e.occurred_at, '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$')
    AND (ifNull(e.proof, '') != '' OR
         bitAnd(toUInt128(toUUID(e.inference_id)) AS id, 68719476735)
         != bitAnd(sipHash64Keyed((mark_key_0, mark_key_1), bitShiftRight(id, 36)), 68719476735))
    AND length(mapKeys(e.scores)) = arrayUniq(mapKeys(e.scores))), 'a form that is read event by event')
FORMAT JSONEachRow
