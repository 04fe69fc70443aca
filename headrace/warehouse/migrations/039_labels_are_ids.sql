-- Labels are stored as their ids, with case and outer blanks folded, as they are since when they are inserted. Parts that hold no
-- other label are left as they are.
ALTER TABLE inferences UPDATE label = lowerUTF8(trimBoth(label, ' \t\r\n'))
    WHERE label != lowerUTF8(trimBoth(label, ' \t\r\n')) SETTINGS mutations_sync = 2;
ALTER TABLE feedback UPDATE label = lowerUTF8(trimBoth(label, ' \t\r\n'))
    WHERE label != lowerUTF8(trimBoth(label, ' \t\r\n')) SETTINGS mutations_sync = 2;
-- The monitor copies those rows of audit_labels once more that this makes other ones (labels_judge.sql), and counts their windows.
ALTER TABLE audit_labels ADD COLUMN IF NOT EXISTS unknown Bool AFTER label;
ALTER TABLE strata ADD COLUMN IF NOT EXISTS unknown UInt64 AFTER errors;
ALTER TABLE accuracy_by ADD COLUMN IF NOT EXISTS unknown UInt64 AFTER known_errors;
