-- The data sets that have rows of answers which were not emptied yet, with how many: what an erasure of these answers will empty.
SELECT dataset, count() AS rows
FROM dataset_rows FINAL
WHERE erasure = '' AND (toUInt128(inference_id), tenant) IN {keys:Array(Tuple(UInt128, String))}
GROUP BY dataset
ORDER BY dataset
