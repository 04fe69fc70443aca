-- What the plan's retention lets go stands beside what was parked for too long.
ALTER TABLE expired ADD COLUMN IF NOT EXISTS why LowCardinality(String) DEFAULT 'parked';
