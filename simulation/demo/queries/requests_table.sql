-- Simulated: every request an employee made, with the truth that only the simulation knows. One row a request.
CREATE TABLE IF NOT EXISTS simulation_requests
(
    request      UInt64,
    asked_at     DateTime64(3, 'UTC'),
    phase        LowCardinality(String),
    era          UInt8,
    intent       LowCardinality(String),
    truth        LowCardinality(String),
    session_id   String,
    inference_id Nullable(UUID),
    answered     LowCardinality(String),
    version      LowCardinality(String),
    arm          LowCardinality(String),
    ok           Bool,
    status       UInt16,
    latency_ms   Float64
)
ENGINE = ReplacingMergeTree
ORDER BY request
