-- Rows of a data set by split, label and source. Rows that an erasure emptied have no label any more and are left out.
SELECT split, label, source, count() AS rows
FROM dataset_rows FINAL
WHERE dataset = {dataset:String} AND erasure = ''
GROUP BY split, label, source
ORDER BY indexOf(['train', 'validation', 'test', 'forget'], toString(split)), label, source
