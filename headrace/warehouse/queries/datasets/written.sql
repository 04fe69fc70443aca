-- How many rows of a data set an export of one split, or (empty) of all, writes, by `hole` (see view dataset_texts).
SELECT hole, count() AS rows
FROM dataset_texts(dataset = {dataset:String}, require_consent = {require_consent:Bool},
                   oldest = {oldest:DateTime64(3, 'UTC')}, tenant = {tenant:String})
WHERE {split:String} IN ('', split)
GROUP BY hole
ORDER BY rows DESC, hole
