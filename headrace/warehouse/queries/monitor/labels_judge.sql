-- Copies those audit labels of `tasks` once more that mean something else by now: what rests on a copy is counted again where one
-- came. Repeated, it does nothing. A copy lies where the former lies: of equal words FINAL takes that of the greater partition.
INSERT INTO audit_labels (task, tenant, inference_id, occurred_at, version, arm, input, answered, audit_probability,
                          label, unknown, feedback_id, labelled_at, rater, error, word, place)
SELECT task, tenant, inference_id, occurred_at, version, arm, input, answered, audit_probability,
       label, unknown, feedback_id, labelled_at, rater, label != answered AND NOT unknown, word, place
FROM labels_judged
WHERE task IN {tasks:Array(String)}
