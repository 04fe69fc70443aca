-- Copies the blind labels that came since the last copy to `audit_labels`, each beside its answer; those that are there stay as
-- they are, for what rests on a copy is counted again where one came. Repeated, it comes to the same rows.
INSERT INTO audit_labels (task, tenant, inference_id, occurred_at, version, arm, input, answered, audit_probability,
                          label, unknown, feedback_id, labelled_at, rater, error, word)
SELECT task, tenant, inference_id, occurred_at, version, arm, input, answered, audit_probability,
       label, unknown, feedback_id, labelled_at, rater, error, word
FROM audit_fresh
WHERE (tenant, inference_id, word, answered) NOT IN
(
    SELECT tenant, inference_id, word, answered FROM audit_labels
    WHERE toUInt128(inference_id) IN (SELECT toUInt128(inference_id) FROM audit_touched)
)
SETTINGS throw_on_max_partitions_per_insert_block = 0
