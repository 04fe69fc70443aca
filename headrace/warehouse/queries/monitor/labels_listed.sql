-- The labels of each task as they were last written down: one row a task. settled: whether what was labelled before has been
-- compared with these.
SELECT task, labels, settled FROM task_labels FINAL
