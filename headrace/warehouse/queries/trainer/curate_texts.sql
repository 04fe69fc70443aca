-- The texts of these answers, with their digests as `questions_normal` has them.
SELECT tenant, inference_id, input AS text, digest
FROM questions_normal(task={task:String})
WHERE toUInt128(inference_id) IN (SELECT toUInt128(arrayJoin({ids:Array(UUID)})))
