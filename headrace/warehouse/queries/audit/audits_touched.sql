-- Answers whose audit may have changed by what was stored from `since` on (the view audit_touched: since the last copy): one row a
-- day of answers, oldest first.
-- day: as the answers' ids say (UTC)
-- times: how often they were touched
-- ids: theirs, at most `most` of them a day
-- left: those of them from which a label may have been taken back, or has gone over to another answer
SELECT toDate(UUIDv7ToDateTime(inference_id, 'UTC')) AS day, count() AS times,
       groupUniqArray({most:UInt32})(inference_id) AS ids,
       groupUniqArrayIf(inference_id, was_about) AS left
FROM
(
    SELECT about AS inference_id, has(former_ids, about) OR revision > 0 AS was_about
    FROM feedback ARRAY JOIN arrayPushBack(former_ids, inference_id) AS about
    WHERE ingested_at >= {since:DateTime64(3, 'UTC')} AND (source = 'audit' OR revision > 0 AND source NOT IN ('user', 'implicit'))
    UNION ALL
    SELECT inference_id, false FROM inferences
    WHERE ingested_at >= {since:DateTime64(3, 'UTC')} AND (audited OR revision > 0) AND arm != 'shadow'
    UNION ALL
    SELECT inference_id, false FROM audit_draws WHERE ingested_at >= {since:DateTime64(3, 'UTC')} AND purpose = 'uniform'
)
GROUP BY day
ORDER BY day
