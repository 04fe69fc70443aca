-- How many blind base-audit labels a task gets in a day of event time, of one tenant or, where it is empty, of all: those of
-- the last seven days before its newest answer, or of fewer where there are no older ones. One row; 0 where there is none. Answers of
-- the future, whose emitter's clock is ahead, are left out.
WITH
    newest AS
    (
        SELECT max(occurred_at) AS at FROM inferences
        WHERE task = {task:String} AND {tenant:String} IN ('', tenant) AND occurred_at <= ingested_at + INTERVAL 10 MINUTE
    )
SELECT if(count() = 0, 0, count() / greatest(1, dateDiff('second', min(occurred_at), (SELECT at FROM newest)) / 86400)) AS per_day
FROM audit_current
WHERE task = {task:String} AND {tenant:String} IN ('', tenant)
  AND occurred_at > (SELECT at FROM newest) - INTERVAL 7 DAY AND occurred_at <= (SELECT at FROM newest)
