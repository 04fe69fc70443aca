-- Feedback that goes over to another answer keeps the former ones, whose windows and audit labels are then counted without it.
ALTER TABLE feedback ADD COLUMN IF NOT EXISTS former_ids Array(UUID) AFTER resolved_by;
