-- Mutations that have not finished, lightweight deletes included: one row a table, with why the last attempt failed, if it did.
SELECT table, count() AS mutations, anyIf(mutation_id, latest_fail_reason != '') AS failing, max(latest_fail_reason) AS reason
FROM system.mutations
WHERE database = currentDatabase() AND NOT is_done
GROUP BY table
ORDER BY table
