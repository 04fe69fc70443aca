-- Answers whose audit may have changed by what was stored from `since` on (the view audit_touched: since the last copy): one row a
-- day of answers, oldest first.
-- day: as the answers' ids say (UTC)
-- times: how often they were touched
-- ids: theirs, at most `most` of them a day
SELECT toDate(UUIDv7ToDateTime(inference_id, 'UTC')) AS day, count() AS times,
       groupUniqArray({most:UInt32})(inference_id) AS ids
FROM
(
    SELECT inference_id FROM feedback
    WHERE ingested_at >= {since:DateTime64(3, 'UTC')} AND source = 'audit' AND signal = 'label'
    UNION ALL
    SELECT inference_id FROM inferences
    WHERE ingested_at >= {since:DateTime64(3, 'UTC')} AND (audited OR revision > 0) AND arm != 'shadow'
    UNION ALL
    SELECT inference_id FROM audit_draws WHERE ingested_at >= {since:DateTime64(3, 'UTC')} AND purpose = 'uniform'
)
GROUP BY day
ORDER BY day
