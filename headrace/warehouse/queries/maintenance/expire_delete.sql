-- Deletes rows of feedback that expired parked, by their keys, in one partition.
DELETE FROM feedback IN PARTITION ID {partition:String}
WHERE (toUInt128(feedback_id), tenant, revision, ground_truth) IN {keys:Array(Tuple(UInt128, String, UInt32, Bool))}
SETTINGS lightweight_deletes_sync = 1
