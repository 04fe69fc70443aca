-- Runs of offsets of a topic's partitions that no row and no dead letter bears: one row a run. Looked for from `firsts` up
-- to, not including, `ends` of each of `partitions`, among what was ingested since these partitions were looked at
-- last, or since the last pass of housekeeping where that is longer ago; and since `sinces`, before which a former topic of
-- that name had the same offsets.
WITH
    (
        SELECT min(checked_at) - INTERVAL 10 MINUTE FROM offset_proofs FINAL
        WHERE topic = {topic:String} AND partition IN {partitions:Array(UInt16)}
    ) AS looked,
    (SELECT least(since, looked) FROM balance_tail) AS tail
SELECT partition, toInt64(before) + 1 AS first, toInt64(offset) - 1 AS last
FROM
(
    SELECT partition, offset,
           lagInFrame(offset, 1, offset) OVER (PARTITION BY partition ORDER BY offset ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS before
    FROM
    (
        SELECT DISTINCT toUInt16(partition) AS partition, toInt64(offset) AS offset
        FROM
        (
            SELECT kafka_partition AS partition, kafka_offset AS offset, ingested_at FROM inferences
            WHERE kafka_topic = {topic:String} AND ingested_at >= tail
            UNION ALL
            SELECT kafka_partition, kafka_offset, ingested_at FROM feedback
            WHERE kafka_topic = {topic:String} AND ingested_at >= tail
            UNION ALL
            SELECT dead_letters.partition, dead_letters.offset, ingested_at FROM dead_letters
            WHERE topic = {topic:String} AND ingested_at >= tail
        )
        WHERE offset >= arrayElement({firsts:Array(Int64)}, indexOf({partitions:Array(UInt16)}, partition))
          AND offset < arrayElement({ends:Array(Int64)}, indexOf({partitions:Array(UInt16)}, partition))
          AND ingested_at >= arrayElement({sinces:Array(DateTime64(3, 'UTC'))}, indexOf({partitions:Array(UInt16)}, partition))
        UNION DISTINCT
        SELECT bound.1 AS partition, bound.2 - 1 AS offset
        FROM (SELECT arrayJoin(arrayZip({partitions:Array(UInt16)}, {firsts:Array(Int64)})) AS bound)
        UNION DISTINCT
        SELECT bound.1 AS partition, bound.2 AS offset
        FROM (SELECT arrayJoin(arrayZip({partitions:Array(UInt16)}, {ends:Array(Int64)})) AS bound)
    )
)
WHERE last >= first
ORDER BY partition, first
LIMIT {rows:UInt32}
