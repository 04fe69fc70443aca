-- Draw for experts at most {wanted} answers of the live version on which the shadow of {candidate} differs, the earliest first: by
-- a keyed hash of the id, with probability {share} that does not depend on which is right. What the base audit drew already is written down as well,
-- with the same probability of being drawn at all, so that estimates weigh both alike. One row an answer drawn.
INSERT INTO audit_draws (task, tenant, inference_id, drawn_at, purpose, stratum, inclusion_probability, reason)
WITH
    toUInt128({from_id:UUID}) AS first_id,
    fromUnixTimestamp64Micro({since_us:Int64}, 'UTC') AS since
SELECT {task:String}, l.tenant, l.inference_id, l.occurred_at, 'targeted', 'disagreement',
       l.audit_probability + (1 - l.audit_probability) * {share:Float64}, {reason:String}
FROM
(
    SELECT tenant, assumeNotNull(parent_id) AS parent, label
    FROM inferences FINAL
    WHERE toUInt128(inference_id) >= first_id AND occurred_at >= since AND task = {task:String} AND signed
      AND arm = 'shadow' AND version = {candidate:String} AND parent_id IS NOT NULL
) AS s
INNER JOIN
(
    SELECT tenant, inference_id, label, occurred_at, audited, audit_probability
    FROM inferences FINAL
    WHERE toUInt128(inference_id) >= first_id AND occurred_at >= since AND task = {task:String} AND signed
      AND arm = 'live' AND version = {live:String}
      AND (audited OR sipHash64Keyed(({key_0:UInt64}, {key_1:UInt64}), tenant, inference_id) < {share:Float64} * 18446744073709551616.)
) AS l ON s.tenant = l.tenant AND s.parent = l.inference_id
WHERE s.label != l.label
  AND (l.tenant, l.inference_id) NOT IN
      (SELECT tenant, inference_id FROM audit_draws WHERE task = {task:String} AND toUInt128(inference_id) >= first_id)
ORDER BY toUInt128(l.inference_id), l.tenant
LIMIT {wanted:UInt32}
