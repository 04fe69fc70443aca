-- Until when the teacher is known to have been right: the earliest estimated start of a drift of the task since the teacher's first
-- answer. One row; microseconds since 1970, 0 where there was none.
-- A drift from before its first answer is one that the teacher already knew.
SELECT ifNull(minOrNull(toUnixTimestamp64Micro(toDateTime64(test_from, 6, 'UTC'))), 0) AS until_us
FROM triggers FINAL
WHERE task = {task:String} AND kind = 'drift' AND test_from >
      (SELECT min(occurred_at) FROM inferences WHERE task = {task:String} AND version = {version:String} AND arm != 'shadow')
