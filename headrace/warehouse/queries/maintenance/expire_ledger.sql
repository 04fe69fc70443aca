-- Writes the ledger's entries of the hours in which events expired since `since`: one a kind, cause, tenant, emitter
-- and hour of ids, under an id derived from these, with the count of all that expired there. Repeated, it writes the same.
INSERT INTO ledger (entry_id, at, what, kind, tenant, events, reason, emitter, hour, itemised)
SELECT toUUID(hex(MD5(format('{}/{}/{}/{}/{}', if(why = 'parked', 'expired', why), kind, toString(tenant), toString(emitter),
                             toString(number))))),
       expired_at, 'expired', kind, tenant, events,
       if(why = 'parked', 'parked without its inference for longer than the plan allows', 'older than the plan keeps anything'),
       emitter, toDateTime(number * 3600, 'UTC'), true
FROM
(
    SELECT 'feedback' AS kind, toString(why) AS why, tenant, emitter, max(expired.expired_at) AS expired_at, count() AS events,
           intDiv(toUInt128(feedback_id), 4352132950612665028942233600000) AS number
    FROM expired FINAL
    WHERE number IN
          (SELECT intDiv(toUInt128(feedback_id), 4352132950612665028942233600000) FROM expired
           WHERE expired_at >= {since:DateTime64(3, 'UTC')})
    GROUP BY why, tenant, emitter, number
    UNION ALL
    SELECT 'inferences', 'retention', tenant, emitter, max(expired_inferences.expired_at), count(),
           intDiv(toUInt128(inference_id), 4352132950612665028942233600000) AS number
    FROM expired_inferences FINAL
    WHERE number IN
          (SELECT intDiv(toUInt128(inference_id), 4352132950612665028942233600000) FROM expired_inferences
           WHERE expired_at >= {since:DateTime64(3, 'UTC')})
    GROUP BY tenant, emitter, number
)
