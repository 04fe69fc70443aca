-- The answers of the version that is the teacher, by what keeps them from training (empty: nothing does) and by label: how many,
-- and how many different texts these have, about (HyperLogLog). Case and outer blanks make no difference between texts.
-- Answers that anyone said anything about are curation's; one that waits for its audit label may yet test.
-- {tenant}: whose answers alone train, empty for all; {from_us}, {until_us}: microseconds since 1970.
SELECT
    multiIf({tenant:String} NOT IN ('', tenant), 'other_tenant',
            NOT consent, 'no_consent',
            JSONExtractString(extra, 'consent') != 'explicit', 'consent_not_explicit',
            occurred_at < fromUnixTimestamp64Micro({from_us:Int64}, 'UTC'), 'too_old',
            NOT signed, 'unsigned',
            JSONHas(extra, 'truncated', 'input') OR JSONHas(extra, 'truncated', 'output'), 'truncated',
            occurred_at >= fromUnixTimestamp64Micro({until_us:Int64}, 'UTC'), 'after_drift',
            NOT has({labels:Array(String)}, label), 'unknown_label',
            (tenant, inference_id) IN (SELECT tenant, inference_id FROM feedback
         WHERE UUIDv7ToDateTime(inference_id, 'UTC') >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC') - INTERVAL 1 DAY), 'said_about',
            audited, 'awaits_audit', '') AS reason,
    label,
    count() AS answers,
    uniqCombined(cityHash64(lowerUTF8(trimBoth(input)))) AS texts
FROM inferences_current
WHERE task = {task:String} AND version = {version:String} AND arm != 'shadow'
GROUP BY reason, label
ORDER BY reason, label
