-- The rows of a data set with their texts, of one split or (empty) of all: what a file of `headrace dataset export` holds. A row without a
-- text says in `hole` why (see view dataset_texts). Sorted by split and time; what does not fit in memory is sorted on disk.
SELECT split, text, label, source, rank, weight, answered, version, occurred_at, tenant, inference_id, feedback_id, hole
FROM dataset_texts(dataset = {dataset:String}, require_consent = {require_consent:Bool},
                   oldest = {oldest:DateTime64(3, 'UTC')}, tenant = {tenant:String})
WHERE {split:String} IN ('', split)
ORDER BY indexOf(['train', 'validation', 'test', 'forget'], toString(split)), toUInt128(inference_id), tenant
SETTINGS max_bytes_before_external_sort = 268435456
