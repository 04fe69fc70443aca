-- Starts of a task's windows that got answers, feedback or draws since `changed_since`, oldest first, as milliseconds
-- since 1970. horizon: older windows are left out. One row.
SELECT arraySort(groupUniqArray(intDiv(toUnixTimestamp64Milli(occurred_at), {size_ms:Int64}) * {size_ms:Int64})) AS starts
FROM
(
    SELECT occurred_at FROM inferences
    WHERE task = {task:String} AND occurred_at >= {horizon:DateTime64(6, 'UTC')}
      AND ingested_at >= {changed_since:DateTime64(3, 'UTC')}
    UNION ALL
    SELECT occurred_at FROM inferences
    WHERE task = {task:String} AND occurred_at >= {horizon:DateTime64(6, 'UTC')} AND toUInt128(inference_id) IN
    (
        SELECT toUInt128(inference_id) FROM feedback
        WHERE ingested_at >= {changed_since:DateTime64(3, 'UTC')} AND task IN ({task:String}, '')
        UNION ALL
        SELECT toUInt128(inference_id) FROM audit_draws
        WHERE ingested_at >= {changed_since:DateTime64(3, 'UTC')} AND task = {task:String}
    )
)
