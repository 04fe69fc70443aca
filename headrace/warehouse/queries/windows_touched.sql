-- Windows that got answers, feedback or draws since `changed_since`: one row a task of `tasks` that got any. starts: of its
-- windows, oldest first, as milliseconds since 1970; horizon: older windows are left out. newest: the newest answer among
-- those, 1970 for none; one from the future, of an emitter whose clock is ahead, says nothing of what is complete.
SELECT task, maxIf(occurred_at, occurred_at <= now64(6)) AS newest,
       arraySort(groupUniqArray(intDiv(toUnixTimestamp64Milli(occurred_at), {size_ms:Int64}) * {size_ms:Int64})) AS starts
FROM
(
    SELECT task, occurred_at FROM inferences
    WHERE task IN {tasks:Array(String)} AND occurred_at >= {horizon:DateTime64(6, 'UTC')}
      AND ingested_at >= {changed_since:DateTime64(3, 'UTC')}
    UNION ALL
    SELECT task, occurred_at FROM inferences
    WHERE task IN {tasks:Array(String)} AND occurred_at >= {horizon:DateTime64(6, 'UTC')} AND toUInt128(inference_id) IN
    (
        SELECT toUInt128(inference_id) FROM feedback WHERE ingested_at >= {changed_since:DateTime64(3, 'UTC')}
        UNION ALL
        SELECT toUInt128(inference_id) FROM audit_draws WHERE ingested_at >= {changed_since:DateTime64(3, 'UTC')}
    )
)
GROUP BY task
