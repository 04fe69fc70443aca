-- The strata of every window as they are known now: the rows of its last count.
CREATE OR REPLACE VIEW strata_current AS
SELECT * FROM strata FINAL
WHERE (task, window_from, known_at) IN (SELECT task, window_from, max(known_at) FROM strata GROUP BY task, window_from);

-- Rolling accuracy as it was known when its last window closed; labels that came later are not in it.
CREATE OR REPLACE VIEW accuracy_then AS
SELECT * FROM accuracy_by WHERE closed
ORDER BY known_at LIMIT 1 BY task, watermark, `by`, name;

-- The same as known now: with every label, draw and outcome that came since.
CREATE OR REPLACE VIEW accuracy_corrected AS
SELECT * FROM accuracy_by WHERE closed
ORDER BY known_at DESC LIMIT 1 BY task, watermark, `by`, name;

-- The newest figures of each task.
CREATE OR REPLACE VIEW accuracy_latest AS
SELECT * FROM accuracy_by
ORDER BY watermark DESC, known_at DESC LIMIT 1 BY task, `by`, name;
