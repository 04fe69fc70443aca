-- Base-audit labels of answers given after the world changed and known to the monitor when it decided.
SELECT count() AS labels
FROM audit_current
WHERE task = {task:String} AND version = {version:String}
  AND occurred_at >= {changed_at:DateTime64(3, 'UTC')} AND occurred_at <= {decided_at:DateTime64(3, 'UTC')}
