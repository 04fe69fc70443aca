-- Base-audit labels of the rolling window by version, and of all versions together ('*'): what users saw.
-- One row a version that has labels there; correct of n.
SELECT if(grouping(a.version) = 1, '*', a.version) AS version, count() AS n, countIf(NOT error) AS correct
FROM audit_current AS a
WHERE task = {task:String}
  AND occurred_at > {window_from:DateTime64(6, 'UTC')} AND occurred_at <= {watermark:DateTime64(6, 'UTC')}
GROUP BY GROUPING SETS ((a.version), ())
HAVING n > 0
