-- Who did what, from the topic headrace.actions; see headrace/contract/control.py.
CREATE TABLE IF NOT EXISTS actions
(
    action_id      UUID COMMENT 'the action; a UUIDv7, which carries its time',
    at             DateTime64(3, 'UTC') COMMENT 'when it was done (UTC, wall clock)',
    by             LowCardinality(String) COMMENT 'who did it: a person, the name of a key, or a part of headrace',
    via            LowCardinality(String) COMMENT 'how: cli, http, console, or part: a part by itself, or on a request that it carries out',
    origin         LowCardinality(String) COMMENT 'from where: user@host, and for HTTP the remote address',
    kind           LowCardinality(String) COMMENT 'key_added, key_revoked, key_rotated, trigger, promotion, rollback, abort, plan_changed, restore, erasure or sign_in',
    task           LowCardinality(String) COMMENT 'the task; empty for what belongs to none',
    subject        String COMMENT 'what it was done to: the id of a key, of a trigger or of a request, or the version that is concerned',
    detail         String COMMENT 'what else there is to know, a JSON object: reason, generation, request_id, changes of the plan',
    extra          String COMMENT 'fields that a newer version added, a JSON object; empty where there are none',
    ingested_at    DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when the insert of this row began, by ClickHouse''s clock (UTC)'
)
ENGINE = ReplacingMergeTree
ORDER BY toUInt128(action_id)
COMMENT 'Who did what, when and from where: keys, triggers, promotions, rollbacks, changes of the plan, restores, erasures, signing in; one row each';
