-- Base-audit labels of the live arm of one version since its promotion, by spans of time that end where the last window
-- closed. One row a span that has labels. back: 1 for the newest span, up to `spans`; 0: everything before those.
SELECT
    if(place > {spans:Int64}, 0, place) AS back,
    sum(labelled) AS labelled,
    sum(errors) AS errors
FROM
(
    SELECT
        labelled, errors,
        intDiv(toUnixTimestamp64Milli(toDateTime64({closed:DateTime64(6, 'UTC')}, 3, 'UTC'))
               - toUnixTimestamp64Milli(window_to), {span_ms:Int64}) + 1 AS place
    FROM windows FINAL
    WHERE task = {task:String} AND version = {version:String} AND arm = 'live'
      AND window_from >= {since:DateTime64(6, 'UTC')} AND window_to <= {closed:DateTime64(6, 'UTC')}
)
GROUP BY back
HAVING labelled > 0
ORDER BY back
