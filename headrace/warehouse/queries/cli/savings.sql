-- What the versions of a task answered and were recorded to cost since {since}, in forty parts of its sessions. One row a version, day and part.
--   requests, characters: of answers that users saw, and of their questions; usd: of all its answers, shadow ones too: tokens or engine seconds;
--     shadow_usd: of those for nobody alone
--   fitted, fitted_characters, squares, fitted_usd, products: of all answers of the incumbent that are stored, whenever they were given: how
--     many, sums of the questions' characters and of their squares, of the price of their tokens in US dollars, and of characters times price
-- {usd_in}, {usd_out}: US dollars a million tokens of the incumbent; an answer without tokens has the price that was recorded.
WITH {since:DateTime64(3, 'UTC')} AS since
SELECT a.version AS version, c.candidate AS candidate, a.day AS day, a.part AS part, a.requests AS requests, a.characters AS characters,
       a.usd AS usd, a.shadow_usd AS shadow_usd, a.first_at AS first_at, a.last_at AS last_at, a.fitted AS fitted, a.fitted_characters AS fitted_characters,
       a.squares AS squares, a.fitted_usd AS fitted_usd, a.products AS products
FROM
(
    SELECT version, toDate(occurred_at) AS day, cityHash64(tenant, if(session_id = '', toString(inference_id), session_id)) % 40 AS part,
           countIf(occurred_at >= since AND arm != 'shadow') AS requests,
           sumIf(length, occurred_at >= since AND arm != 'shadow') AS characters,
           sumIf(cost, occurred_at >= since) AS usd, sumIf(cost, occurred_at >= since AND arm = 'shadow') AS shadow_usd, min(occurred_at) AS first_at, max(occurred_at) AS last_at,
           countIf(incumbent) AS fitted, sumIf(length, incumbent) AS fitted_characters, sumIf(length * length, incumbent) AS squares,
           sumIf(priced, incumbent) AS fitted_usd, sumIf(length * priced, incumbent) AS products
    FROM
    (
        SELECT *, toFloat64(lengthUTF8(input)) AS length, version = {incumbent:String} AS incumbent,
               if(tokens_in + tokens_out > 0, (tokens_in * {usd_in:Float64} + tokens_out * {usd_out:Float64}) / 1e6, cost) AS priced
        FROM inferences_current
        WHERE task = {task:String} AND (occurred_at >= since OR version = {incumbent:String})
          AND occurred_at <= ingested_at + INTERVAL 10 MINUTE
    )
    GROUP BY version, day, part
) AS a
LEFT JOIN
(
    SELECT version, any(toString(name)) AS candidate FROM candidates FINAL
    WHERE task = {task:String} AND gate = 'passed' AND version != '' GROUP BY version
) AS c ON a.version = c.version
ORDER BY version, day, part
