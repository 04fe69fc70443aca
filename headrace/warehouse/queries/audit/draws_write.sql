-- Draws a window's answers into `audit_draws` by a keyed hash of their ids, each with its layer's chance, and writes down what
-- the base audit drew there: one row an answer that is drawn at all.
INSERT INTO audit_draws (task, tenant, inference_id, drawn_at, purpose, stratum, inclusion_probability, reason)
SELECT {task:String}, tenant, inference_id, fromUnixTimestamp64Milli({window_to:Int64}, 'UTC') AS drawn_at, 'targeted' AS purpose,
       concat(stratum, '/', confidence) AS layer,
       1 - missed * (1 - chance) AS inclusion_probability,
       {reason:String}
FROM
(
    SELECT *, arrayElement({chances:Array(Float64)}, indexOf({layers:Array(String)}, concat(stratum, '/', confidence))) AS chance
    FROM window_answers(tasks = [{task:String}], size_ms = {size_ms:Int64},
                         window_from = {window_from:Int64}, window_to = {window_to:Int64})
)
WHERE arm != 'shadow' AND NOT is_known AND chance > 0
  AND (fair OR sipHash64Keyed(({key_0:UInt64}, {key_1:UInt64}), tenant, inference_id) < chance * 18446744073709551616.)
