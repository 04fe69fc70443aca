ALTER TABLE windows ADD COLUMN IF NOT EXISTS first_token_p99_ms Float64 COMMENT 'time to the first token, 99th percentile, milliseconds' AFTER cost;
ALTER TABLE windows ADD COLUMN IF NOT EXISTS latency_p99_ms Float64 COMMENT 'time to the last token, 99th percentile, milliseconds' AFTER first_token_p99_ms;
ALTER TABLE windows ADD COLUMN IF NOT EXISTS tokens_in UInt64 COMMENT 'prompt tokens of all answers, a count' AFTER latency_p99_ms;
ALTER TABLE windows ADD COLUMN IF NOT EXISTS tokens_out UInt64 COMMENT 'generated tokens of all answers, a count' AFTER tokens_in;
