-- How many rows of a data set have their text, and how many have it no more, by reason (`hole`, see view dataset_texts; empty
-- where the text may be used). One row a reason; `erasures`: the erasures that emptied rows, as their receipts name them.
SELECT hole, count() AS rows, groupUniqArrayIf(100)(erasure, erasure != '') AS erasures, max(erased_at) AS newest
FROM dataset_texts(dataset = {dataset:String}, require_consent = {require_consent:Bool},
                   oldest = {oldest:DateTime64(3, 'UTC')}, tenant = {tenant:String})
GROUP BY hole
ORDER BY rows DESC, hole
