-- Draw `wanted` answers of a live version's closed windows for audit: those with the least keyed hash of the id. Every worker
-- draws the same, and no emitter can tell which ids those are. The base audit's answers are labelled already and left out;
-- one row an answer drawn.
-- The probability is that of being drawn at all: when it was stored, or here.
INSERT INTO audit_draws (task, tenant, inference_id, drawn_at, purpose, stratum, inclusion_probability, reason)
SELECT task, tenant, inference_id, {window_to:DateTime64(6, 'UTC')}, 'uniform', '',
       audit_probability + (1 - audit_probability) * least(1., {wanted:UInt32} / available), {reason:String}
FROM
(
    SELECT task, tenant, inference_id, audit_probability, count() OVER () AS available
    FROM inferences FINAL
    WHERE task = {task:String} AND version = {version:String} AND arm = 'live' AND NOT audited
      AND occurred_at >= {window_from:DateTime64(6, 'UTC')} AND occurred_at < {window_to:DateTime64(6, 'UTC')}
      AND toUInt128(inference_id) >= bitShiftLeft(toUInt128(greatest(0, toUnixTimestamp64Milli({window_from:DateTime64(6, 'UTC')}) - 86400000)), 80)
      AND toUInt128(inference_id) < bitShiftLeft(toUInt128(greatest(0, toUnixTimestamp64Milli({window_to:DateTime64(6, 'UTC')}) + 86400000)), 80)
)
ORDER BY sipHash64Keyed(({key_0:UInt64}, {key_1:UInt64}), inference_id), toUInt128(inference_id), tenant
LIMIT {wanted:UInt32}
