-- Copies the blind labels that came since the last copy to `audit_labels`, each beside its answer. Repeated, it comes to
-- the same rows.
INSERT INTO audit_labels (task, tenant, inference_id, occurred_at, version, arm, input, answered, audit_probability,
                          label, feedback_id, labelled_at, rater, error, word)
SELECT task, tenant, inference_id, occurred_at, version, arm, input, answered, audit_probability,
       label, feedback_id, labelled_at, rater, error, word
FROM audit_fresh
