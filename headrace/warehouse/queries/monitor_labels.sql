-- Base-audit labels of one version from `since` up to the watermark. One row.
SELECT count() AS labels, countIf(error) AS errors
FROM audit_current
WHERE task = {task:String} AND version = {version:String}
  AND occurred_at >= {since:DateTime64(6, 'UTC')} AND occurred_at <= {watermark:DateTime64(6, 'UTC')}
