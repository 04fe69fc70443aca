-- Writes `window_profiles` for the windows from `window_from` to `window_to`, of all tasks and versions: one row a window
-- that has answers. Answers of all tasks stand together, so that reading them once for all costs hardly more than for one;
-- a window that another task's look profiled too early is found by profiles_missing.
-- A session counts once a window, by its first answer there: questions of one session resemble each other, and tests of
-- distributions take independent ones. An answer is what its last revision says. Ids carry their time, which bounds the read.
INSERT INTO window_profiles
WITH
    {size_ms:Int64} AS size,
    sampled AS
    (
        SELECT
            task, version, intDiv(toUnixTimestamp64Milli(occurred_at), size) * size AS span,
            if(session_id = '', toString(inference_id), session_id) AS session,
            argMin((label, mapValues(scores), input), toUInt128(inference_id)) AS answer
        FROM inferences FINAL
        WHERE arm = 'live'
          AND occurred_at >= {window_from:DateTime64(6, 'UTC')} AND occurred_at < {window_to:DateTime64(6, 'UTC')}
          AND toUInt128(inference_id) >= bitShiftLeft(toUInt128(greatest(0, toUnixTimestamp64Milli({window_from:DateTime64(6, 'UTC')}) - 86400000)), 80)
          AND toUInt128(inference_id) < bitShiftLeft(toUInt128(greatest(0, toUnixTimestamp64Milli({window_to:DateTime64(6, 'UTC')}) + 86400000)), 80)
        GROUP BY task, version, span, tenant, session
    ),
    described AS
    (
        SELECT
            task, version, span,
            sipHash64(session) AS draw,
            answer.1 AS label,
            arrayMap(score -> toFloat64(score), answer.2) AS scores,
            arraySum(scores) > 0 AS is_scored,
            least(greatest(arrayMax(scores), 1e-4), 1 - 1e-6) AS capped,
            arrayMax(scores) AS confidence,
            -arraySum(score -> if(score > 0, score * log(score), 0.), scores) AS entropy,
            arrayDistinct(arrayMap(word -> toUInt32(xxHash32(word)),
                                   extractAll(lowerUTF8(substring(answer.3, 1, 2000)), '\\pL+'))) AS said
        FROM sampled
    )
SELECT
    task,
    version,
    fromUnixTimestamp64Milli(span, 'UTC'),
    fromUnixTimestamp64Milli(span + size, 'UTC'),
    count(),
    sumMap(map(label, toUInt64(1))),
    countIf(is_scored),
    sumMapIf(map(toInt16(floor(20 * log(capped / (1 - capped)))), toUInt64(1)), is_scored),
    sumIf(confidence, is_scored),
    sumIf(entropy, is_scored),
    sumIf(confidence * confidence, is_scored),
    sumIf(entropy * entropy, is_scored),
    sumIf(confidence * entropy, is_scored),
    arrayMap(question -> question.2, arraySlice(
        arraySort(question -> question.1, groupArrayIf((draw, said), notEmpty(said))), 1, {questions:UInt32})),
    now64(3)
FROM described
GROUP BY task, version, span
