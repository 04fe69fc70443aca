-- Answers of the teacher that may train, one a text: those whose text's hash lies under its label's share of all hashes, so that
-- each text has the same chance and the same texts are drawn next time.
-- {shares}: 0 to 1, of each of {labels}; {tenant}, {from_us}, {until_us} and what may train: see teacher_counts.
SELECT
    tenant,
    inference_id,
    occurred_at,
    input AS text,
    label AS answered,
    user_ref,
    session_id,
    cityHash64({task:String}, lowerUTF8(trimBoth(input))) AS drawn
FROM inferences_current
WHERE task = {task:String} AND version = {version:String} AND arm != 'shadow'
  AND {tenant:String} IN ('', tenant) AND consent AND signed AND NOT audited AND JSONExtractString(extra, 'consent') = 'explicit'
  AND NOT JSONHas(extra, 'truncated', 'input') AND NOT JSONHas(extra, 'truncated', 'output')
  AND occurred_at >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
  AND occurred_at < fromUnixTimestamp64Micro({until_us:Int64}, 'UTC')
  AND drawn / 18446744073709551616 < {shares:Array(Float64)}[indexOf({labels:Array(String)}, label)]
  AND (tenant, inference_id) NOT IN (SELECT tenant, inference_id FROM feedback
         WHERE UUIDv7ToDateTime(inference_id, 'UTC') >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC') - INTERVAL 1 DAY)
ORDER BY drawn, toUInt128(inference_id), tenant
LIMIT 1 BY drawn
