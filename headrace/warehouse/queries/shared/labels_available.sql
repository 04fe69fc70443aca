-- How many answers asked since {since_us} (microseconds since 1970) carry a blind base-audit label. One row.
SELECT count() AS labels
FROM audit_current
WHERE task = {task:String} AND occurred_at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC')
