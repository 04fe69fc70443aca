-- The audit is a view of all answers that is asked for a few (audit_said); before, it was one of those that had changed.
DROP VIEW IF EXISTS audit_fresh
