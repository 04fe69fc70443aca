-- What the database's tables and columns say about themselves: one row a column, and one with column '' a table or view.
SELECT table, name AS column, comment FROM system.columns WHERE database = currentDatabase()
UNION ALL
SELECT name, '', comment FROM system.tables WHERE database = currentDatabase()
