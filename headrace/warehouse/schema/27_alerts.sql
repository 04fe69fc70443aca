-- Alerts that were sent, or that the receiver refused for good: one row an alert, whatever is looked at again.
CREATE TABLE IF NOT EXISTS alerts
(
    alert_id UUID COMMENT 'derived from what happened: the receiver knows by it what it has already',
    kind     LowCardinality(String) COMMENT 'trigger, promotion, rollback, no_winner, failed, detector, missing, stopped, dropped or unreadable',
    task     LowCardinality(String) COMMENT 'the task; empty for what belongs to none',
    at       DateTime64(3, 'UTC') COMMENT 'when it happened (UTC), as its own table says',
    reason   String COMMENT 'why, in words',
    numbers  Map(String, Float64) COMMENT 'name to number: what it rests on',
    state    LowCardinality(String) COMMENT 'delivered or refused',
    answer   String COMMENT 'what the receiver answered, in a few words',
    sent_at  DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when the receiver had answered (UTC)'
)
ENGINE = ReplacingMergeTree(sent_at)
ORDER BY alert_id
COMMENT 'Alerts that were sent to the webhook, or that it refused for good, one row each';

-- Records of the control topics that their owner could not read, or that were lost, one row a record and reason.
CREATE TABLE IF NOT EXISTS unreadable
(
    topic  LowCardinality(String) COMMENT 'the control topic',
    key    String COMMENT 'key of the record, or the task whose records were lost',
    task   LowCardinality(String) COMMENT 'the task, where it is known',
    reason String COMMENT 'why, in words',
    owner  LowCardinality(String) COMMENT 'the transactional id of who found it',
    at     DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when it was last found so (UTC, by ClickHouse''s clock)'
)
ENGINE = ReplacingMergeTree(at)
ORDER BY (topic, key, reason)
COMMENT 'Records of the control topics that could not be read, or were lost: nothing is written for their tasks until they are restored';
