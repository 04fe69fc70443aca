-- Every step of every rollout, for the timeline.
SELECT generation, step, JSONExtractString(live, 'version') AS live, JSONExtractString(canary, 'version') AS canary,
       canary_share, JSONExtractString(shadow, 'version') AS shadow, at, reason
FROM promotions FINAL
WHERE task = {task:String}
ORDER BY generation
