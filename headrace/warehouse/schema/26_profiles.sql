-- What detectors that need no labels compare. One row a task, version and closed window of event time, over the live arm
-- and the first inference of each session in the window: written when the window closes, anew where answers come late.
CREATE TABLE IF NOT EXISTS window_profiles
(
    task               LowCardinality(String) COMMENT 'the decision, as named in the plan',
    version            LowCardinality(String) COMMENT 'the model version that answered',
    window_from        DateTime64(3, 'UTC') COMMENT 'start of the window, event time, inclusive',
    window_to          DateTime64(3, 'UTC') COMMENT 'end of the window, event time, exclusive',
    sessions           UInt64 COMMENT 'sessions with an answer in the window; each counts once, by its first answer',
    labels             Map(LowCardinality(String), UInt64) COMMENT 'sessions by the label given',
    scored             UInt64 COMMENT 'sessions whose answer has label scores',
    confidences        Map(Int16, UInt64) COMMENT 'scored sessions by 20 x the log-odds of the greatest score, rounded down',
    confidence_sum     Float64 COMMENT 'sum over scored sessions of the greatest score, 0 to 1 each',
    entropy_sum        Float64 COMMENT 'sum over scored sessions of the entropy of the scores, nats each',
    confidence_squares Float64 COMMENT 'sum of squares of the greatest score',
    entropy_squares    Float64 COMMENT 'sum of squares of the entropy, nats squared',
    confidence_entropy Float64 COMMENT 'sum of products of greatest score and entropy, nats',
    words              Array(Array(UInt32)) COMMENT 'hashes of the distinct words of at most 500 questions, drawn by a hash of their session; in that order',
    known_at           DateTime64(3, 'UTC') COMMENT 'when the profile was computed, wall clock; the latest counts'
)
ENGINE = ReplacingMergeTree(known_at)
ORDER BY (task, version, window_from, window_to)
TTL toDateTime(known_at) + INTERVAL 400 DAY;

-- Where the questions of a closed window lie in the space of meanings: moments of the embeddings of at most 200 of them,
-- projected. One row a task, version and window; sums of rows are the moments of several windows together.
CREATE TABLE IF NOT EXISTS window_embeddings
(
    task        LowCardinality(String) COMMENT 'the decision, as named in the plan',
    version     LowCardinality(String) COMMENT 'the model version that answered',
    window_from DateTime64(3, 'UTC') COMMENT 'start of the window, event time, inclusive',
    window_to   DateTime64(3, 'UTC') COMMENT 'end of the window, event time, exclusive',
    encoder     LowCardinality(String) COMMENT 'encoder and projection; rows of different ones do not compare',
    questions   UInt64 COMMENT 'questions embedded, one a session, drawn by a hash of the session',
    sums        Array(Float32) COMMENT 'sum of the projected embeddings, one number a dimension',
    products    Array(Float32) COMMENT 'sum of the products of dimensions i >= j, in the order (0,0), (1,0), (1,1), (2,0), ...',
    known_at    DateTime64(3, 'UTC') COMMENT 'when it was computed, wall clock; the latest counts'
)
ENGINE = ReplacingMergeTree(known_at)
ORDER BY (task, version, window_from, window_to, encoder)
TTL toDateTime(known_at) + INTERVAL 400 DAY;
