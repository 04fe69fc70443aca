-- Which labels a task has. Answers and feedback are about any label; one that is none of the task's is shown apart
-- (`labels_unknown`, `accuracy_by`.unknown) and is no error of the version that answered.
CREATE TABLE IF NOT EXISTS task_labels
(
    task     LowCardinality(String) COMMENT 'the task',
    labels   Array(LowCardinality(String)) COMMENT 'ids of its labels, as the plan has them',
    settled  Bool COMMENT 'whether what was labelled before has been compared with these',
    known_at DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'when this row was written, by ClickHouse''s clock (UTC)'
)
ENGINE = ReplacingMergeTree(known_at)
ORDER BY task
COMMENT 'The labels of each task as the plan has them, one row a task';
