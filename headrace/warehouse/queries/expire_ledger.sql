-- Writes the ledger's entries of the hours in which feedback expired since the last pass: one a tenant, emitter and hour
-- of ids, under an id derived from these, with the count of all that expired there. Repeated, it writes the same.
INSERT INTO ledger (entry_id, at, what, kind, tenant, events, reason, emitter, hour, itemised)
SELECT toUUID(hex(MD5(format('expired/feedback/{}/{}/{}', toString(tenant), toString(emitter), toString(number))))),
       max(expired_at), 'expired', 'feedback', tenant, count(), 'parked without its inference for longer than the plan allows',
       emitter, toDateTime(number * 3600, 'UTC'), true
FROM
(
    SELECT *, intDiv(toUInt128(feedback_id), 4352132950612665028942233600000) AS number
    FROM expired FINAL
    WHERE number IN
          (SELECT intDiv(toUInt128(feedback_id), 4352132950612665028942233600000) FROM expired
           WHERE expired_at >= (SELECT since FROM balance_tail))
)
GROUP BY tenant, emitter, number
