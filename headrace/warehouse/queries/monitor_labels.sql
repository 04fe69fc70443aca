-- Labels of the audit of one version from `since` up to the watermark. One row. fingerprint: another where any label differs.
SELECT count() AS labels, groupBitXor(sipHash64(inference_id, tenant, error)) AS fingerprint
FROM audit_labels FINAL
WHERE task = {task:String} AND version = {version:String}
  AND toUInt128(inference_id) >= bitShiftLeft(
        toUInt128(greatest(0, toUnixTimestamp64Milli({since:DateTime64(6, 'UTC')}) - 86400000)), 80)
  AND occurred_at >= {since:DateTime64(6, 'UTC')} AND occurred_at <= {watermark:DateTime64(6, 'UTC')}
