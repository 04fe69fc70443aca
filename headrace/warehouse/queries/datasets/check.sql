-- Whether a data set is what its digest says, one row, without reading a text (trainer/curate/digest.py makes the same digests).
--   rows, erased: how many it has, and how many of these an erasure emptied
--   wrong: rows that were not emptied and are not what their own digest says
--   same: whether the digests of the rows make the digest of the data set; 0 also for data sets of format 1, which have none
SELECT
    count() AS rows,
    countIf(erasure != '') AS erased,
    countIf(erasure = '' AND row_digest != made) AS wrong,
    lower(hex(SHA256(arrayStringConcat(arrayConcat(['headrace data set 2'], arraySort(groupArray(row_digest))), '\n'))))
        = {dataset:String} AS same
FROM
(
    SELECT erasure, row_digest,
           lower(hex(SHA256(arrayStringConcat([
               toString(split), toString(inference_id), toString(feedback_id), toString(source), toString(rank),
               toString(toInt64(round(weight * 1000000))), cluster, text_sha256, toString(answered), toString(version),
               toString(label), toString(tenant)], '\x1f')))) AS made
    FROM dataset_rows FINAL
    WHERE dataset = {dataset:String}
)
