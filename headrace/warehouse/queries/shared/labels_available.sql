-- How many answers asked since {since_us} (microseconds since 1970) carry a blind base-audit label, of one tenant or,
-- where it is empty, of all. One row.
SELECT count() AS labels
FROM audit_current
WHERE task = {task:String} AND {tenant:String} IN ('', tenant) AND occurred_at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC')
