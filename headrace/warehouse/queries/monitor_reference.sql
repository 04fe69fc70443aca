-- The first `reference` base-audit labels of one version since it became live, in order of inference; it has as many before
-- `until`, or none after. One row.
SELECT count() AS reference, countIf(error) AS errors
FROM
(
    SELECT error
    FROM audit_labels FINAL
    WHERE task = {task:String} AND version = {version:String} AND NOT unknown
      AND toUInt128(inference_id) >= bitShiftLeft(
            toUInt128(greatest(0, toUnixTimestamp64Milli({since:DateTime64(6, 'UTC')}) - 86400000)), 80)
      AND toUInt128(inference_id) < bitShiftLeft(
            toUInt128(greatest(0, toUnixTimestamp64Milli({until:DateTime64(6, 'UTC')}) + 86400000)), 80)
      AND occurred_at >= {since:DateTime64(6, 'UTC')} AND occurred_at <= {watermark:DateTime64(6, 'UTC')}
      AND occurred_at < {until:DateTime64(6, 'UTC')}
    ORDER BY toUInt128(inference_id), tenant
    LIMIT {reference:UInt32}
)
