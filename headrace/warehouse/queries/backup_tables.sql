-- The tables of the database as a backup writes them: one row a table, with the columns that take values, rows and bytes.
SELECT t.name AS table, ifNull(t.total_rows, 0) AS rows, ifNull(t.total_bytes_uncompressed, 0) AS size,
       t.sorting_key AS key, c.names AS columns
FROM system.tables AS t
INNER JOIN
(
    SELECT table, arrayMap(column -> column.2, arraySort(groupArray((position, name)))) AS names
    FROM system.columns
    WHERE database = currentDatabase() AND default_kind IN ('', 'DEFAULT')
    GROUP BY table
) AS c ON c.table = t.name
WHERE t.database = currentDatabase() AND t.engine LIKE '%MergeTree'
ORDER BY table
