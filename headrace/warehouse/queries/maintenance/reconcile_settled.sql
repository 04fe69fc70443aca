-- The sums of what passes have settled: one row a kind.
SELECT kind, uniqExact(hour) AS hours, sum(missing) AS missing, sum(duplicated) AS duplicated, sum(parked) AS parked,
       sum(dead_lettered) AS dead_lettered, sum(expired) AS expired
FROM reconciliations FINAL GROUP BY kind ORDER BY kind
