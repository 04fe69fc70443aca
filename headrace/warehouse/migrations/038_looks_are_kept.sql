-- A look, and a reading of the accuracy, is a row of its own: a later one at the same watermark does not replace it.
-- What was written before has no time of its look: 1970, so it comes before every later look at its watermark.
ALTER TABLE evaluations ADD COLUMN IF NOT EXISTS looked_at DateTime64(6, 'UTC') AFTER watermark,
    MODIFY ORDER BY (task, detector, generation, watermark, looked_at);
ALTER TABLE accuracy ADD COLUMN IF NOT EXISTS looked_at DateTime64(6, 'UTC') AFTER watermark,
    MODIFY ORDER BY (task, version, watermark, looked_at);
