-- Of these answers those that may train, one row each, with their consent and the SHA-256 of their text as it is now: kept, not older
-- than `oldest`, of `tenant` where that is not empty, and with consent where the plan requires it.
SELECT tenant, inference_id, consent, lower(hex(SHA256(input))) AS text_sha256
FROM inferences_current
WHERE toUInt128(inference_id) IN {ids:Array(UInt128)}
  AND occurred_at >= {oldest:DateTime64(3, 'UTC')}
  AND {tenant:String} IN ('', tenant)
  AND (consent OR NOT {require_consent:Bool})
