-- Every column of the database's tables and views: one row each, in their order, with what its table says about itself. A materialized
-- view has those of the table that it writes.
SELECT c.table AS table, c.name AS name, c.type AS type, c.comment AS comment, t.comment AS about,
       t.sorting_key AS sorting_key
FROM system.columns AS c
INNER JOIN (SELECT name, comment, sorting_key FROM system.tables WHERE database = currentDatabase() AND engine != 'MaterializedView') AS t
    ON t.name = c.table
WHERE c.database = currentDatabase()
ORDER BY c.table, c.position
