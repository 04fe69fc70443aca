-- Empties the rows that answers have in data sets: what is left are split, source, ids of the answer, and the digests that the
-- digest of the data set is made of. When it returns the rest is off this server's disk.
ALTER TABLE dataset_rows
UPDATE feedback_id = toUUID('00000000-0000-0000-0000-000000000000'), label = '', answered = '', version = '', weight = 0,
       rank = 0, text_digest = '', text_sha256 = '', cluster = '',
       erased_at = {at:DateTime64(3, 'UTC')}, erasure = {erasure:String}
IN PARTITION ID 'all'
WHERE erasure = '' AND (toUInt128(inference_id), tenant) IN {keys:Array(Tuple(UInt128, String))}
SETTINGS mutations_sync = 1
