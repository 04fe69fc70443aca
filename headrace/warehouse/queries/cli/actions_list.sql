-- Who did what, the newest rows in the order of their time. task, kind: empty for all.
SELECT at, by, via, origin, kind, task, subject, detail, action_id
FROM
(
    SELECT *
    FROM actions FINAL
    WHERE at >= {since:DateTime('UTC')}
      AND ({task:String} = '' OR task = {task:String}) AND ({kind:String} = '' OR kind = {kind:String})
    ORDER BY at DESC, toUInt128(action_id) DESC
    LIMIT {rows:UInt32}
)
ORDER BY at, toUInt128(action_id)
