-- What {person} taught: a user, by the pseudonym of the answers that are theirs, or an expert, by the name under which they label. The same name
-- may be another person's with another tenant; {tenant}: whose alone, empty for all. One row a tenant, data set and version: in how many of its rows the person's answers or words are, by split, and whether the version came to serve.
--   as: user or rater; version: that a job made of it, empty where none did; live_from: when it began to serve, 1970 where it never did
WITH
    asked AS (SELECT tenant, inference_id FROM inferences FINAL
              WHERE user_ref = {person:String} AND (empty({tenant:String}) OR tenant = {tenant:String})),
    said AS (SELECT feedback_id FROM feedback FINAL
             WHERE rater = {person:String} AND (empty({tenant:String}) OR tenant = {tenant:String})),
    won AS
    (
        SELECT arrayJoin(arrayDistinct([toString(dataset), if(JSONExtractString(detail, 'tuned_on') = '', dataset, JSONExtractString(detail, 'tuned_on'))])) AS learned,
               task, toString(version) AS version, job_id
        FROM candidates FINAL WHERE gate = 'passed' AND split = 'test'
    ),
    lives AS
    (
        SELECT task, JSONExtractString(live, 'version') AS version, min(at) AS live_from
        FROM promotions FINAL WHERE step = 'steady' GROUP BY task, version
    )
SELECT d.task AS task, r.tenant AS tenant, r.dataset AS dataset, r.who AS `as`, r.rows AS rows, r.train AS train, r.validation AS validation, r.test AS test,
       r.forget AS forget, r.sources AS sources, w.version AS version, l.live_from AS live_from, w.job_id AS job_id
FROM
(
    SELECT dataset, tenant, who, count() AS rows, countIf(split = 'train') AS train, countIf(split = 'validation') AS validation,
           countIf(split = 'test') AS test, countIf(split = 'forget') AS forget, arraySort(groupUniqArray(toString(source))) AS sources
    FROM
    (
        SELECT dataset, tenant, split, source, 'user' AS who FROM dataset_rows FINAL
        WHERE (tenant, inference_id) IN (SELECT tenant, inference_id FROM asked)
        UNION ALL
        SELECT dataset, tenant, split, source, 'rater' AS who FROM dataset_rows FINAL WHERE feedback_id IN (SELECT feedback_id FROM said)
    )
    GROUP BY dataset, tenant, who
) AS r
INNER JOIN (SELECT dataset, any(toString(task)) AS task FROM datasets FINAL GROUP BY dataset) AS d ON r.dataset = d.dataset
LEFT JOIN won AS w ON r.dataset = w.learned AND d.task = w.task
LEFT JOIN lives AS l ON w.task = l.task AND w.version = l.version
ORDER BY task, tenant, live_from, dataset, who
