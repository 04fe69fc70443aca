-- The tables of the database as a backup writes them: one row a table, with the columns that take values, rows and bytes.
-- A copy with another engine, which a killed preparation left (engines.py), is none of them; half: it has taken the table's
-- place already, and what arrived meanwhile may be in the former table alone.
WITH (SELECT groupArray(name) FROM system.tables WHERE database = currentDatabase()) AS names
SELECT t.name AS table, ifNull(t.total_rows, 0) AS rows, ifNull(t.total_bytes_uncompressed, 0) AS size,
       t.sorting_key AS key, c.names AS columns,
       startsWith(t.comment, 'filled since ') AND has(names, concat(t.name, '_copy')) AS half
FROM system.tables AS t
INNER JOIN
(
    SELECT table, arrayMap(column -> column.2, arraySort(groupArray((position, name)))) AS names
    FROM system.columns
    WHERE database = currentDatabase() AND default_kind IN ('', 'DEFAULT')
    GROUP BY table
) AS c ON c.table = t.name
WHERE t.database = currentDatabase() AND t.engine LIKE '%MergeTree'
  AND NOT (endsWith(t.name, '_copy') AND has(names, replaceRegexpOne(t.name, '_copy$', '')))
ORDER BY table
