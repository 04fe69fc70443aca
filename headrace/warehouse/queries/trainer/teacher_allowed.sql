-- The teacher rows of a data set whose answers may still train: not erased, consent not taken back. Microseconds since 1970.
SELECT tenant, inference_id, input AS text
FROM inferences_current
WHERE consent AND occurred_at >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
  AND toUInt128(inference_id) IN (SELECT toUInt128(inference_id) FROM dataset_rows
                                  WHERE dataset = {dataset:String} AND source = 'teacher')
