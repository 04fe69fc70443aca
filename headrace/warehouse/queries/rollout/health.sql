-- What the monitor has proven of the version {live} since it became live at {since}: whether the label trigger fires at its
-- last look, and the last rolling accuracy by the base audit. One row; no labels where nothing is known.
SELECT
    (SELECT argMax(fired, (looked_at, watermark)) FROM evaluations
     WHERE looked_at <= now64(6) AND task = {task:String} AND detector = 'shiryaev_roberts' AND version = {live:String}
       AND watermark >= {since:DateTime64(6, 'UTC')}) AS fired,
    sum(n) AS labelled, sum(low) AS low, sum(high) AS high
FROM
(
    SELECT n, low, high FROM accuracy
    WHERE task = {task:String} AND version = {live:String} AND watermark >= {since:DateTime64(6, 'UTC')}
    ORDER BY known_at DESC, watermark DESC LIMIT 1
)
