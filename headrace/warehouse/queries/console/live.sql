-- Who serves: one row a task that has a promotion, its newest generation. canary and shadow are '' where there is none.
SELECT
    task, generation, step, canary_share, since, at, reason,
    JSONExtractString(live, 'version') AS live_version,
    JSONExtractString(canary, 'version') AS canary_version,
    JSONExtractString(shadow, 'version') AS shadow_version,
    JSONExtractString(previous, 'version') AS previous_version
FROM promotions FINAL
ORDER BY generation DESC
LIMIT 1 BY task
