-- From the request for a rollout to the first answer that the version gave to everyone, seconds.
SELECT min(r.at) AS requested_at,
       (SELECT min(occurred_at) FROM inferences FINAL
        WHERE version = {version:String} AND arm = 'live') AS first_live_at
FROM rollouts AS r FINAL
WHERE r.task = {task:String} AND r.kind = 'promote' AND JSONExtractString(r.candidate, 'version') = {version:String}
