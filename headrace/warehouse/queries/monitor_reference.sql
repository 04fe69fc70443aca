-- The first `reference` base-audit labels of one version since it became live, in order of inference. One row.
SELECT count() AS reference, countIf(error) AS errors
FROM
(
    SELECT error
    FROM audit_current
    WHERE task = {task:String} AND version = {version:String}
      AND occurred_at >= {since:DateTime64(6, 'UTC')} AND occurred_at <= {watermark:DateTime64(6, 'UTC')}
    ORDER BY toUInt128(inference_id), tenant
    LIMIT {reference:UInt32}
)
