-- Every column of the database's tables and views: one row each, in their order, with what its table says about itself.
SELECT c.table AS table, c.name AS name, c.type AS type, c.comment AS comment, t.comment AS about,
       t.sorting_key AS sorting_key
FROM system.columns AS c
INNER JOIN (SELECT name, comment, sorting_key FROM system.tables WHERE database = currentDatabase()) AS t
    ON t.name = c.table
WHERE c.database = currentDatabase()
ORDER BY c.table, c.position
