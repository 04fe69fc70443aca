-- The audit's labels of one version by day of the answer (days since 1970), from `first_day` on and no earlier than `since`. One row
-- a day that has any, oldest first. labels, errors: those up to the watermark; fingerprint: another where any of them differs;
-- ahead: the oldest answer after the watermark that has a label, 1970 for none.
SELECT toUInt32(intDiv(toUnixTimestamp64Milli(occurred_at), 86400000)) AS day,
       countIf(complete) AS labels, countIf(complete AND error) AS errors,
       groupBitXorIf(sipHash64(inference_id, tenant, error), complete) AS fingerprint,
       minIf(occurred_at, NOT complete) AS ahead
FROM
(
    SELECT inference_id, tenant, occurred_at, error, occurred_at <= {watermark:DateTime64(6, 'UTC')} AS complete
    FROM audit_labels FINAL
    WHERE task = {task:String} AND version = {version:String}
      AND toUInt128(inference_id) >= bitShiftLeft(toUInt128(greatest(0,
            greatest(toUnixTimestamp64Milli({since:DateTime64(6, 'UTC')}), {first_day:UInt32} * 86400000) - 86400000)), 80)
      AND occurred_at >= {since:DateTime64(6, 'UTC')}
      AND occurred_at >= fromUnixTimestamp64Milli(toInt64({first_day:UInt32} * 86400000), 'UTC')
)
GROUP BY day
ORDER BY day
