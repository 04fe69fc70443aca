-- When the next row on partition {partition} of {topic} is: now by ClickHouse's clock, and after each row that is there. One
-- row.
SELECT greatest(now64(6, 'UTC'), max(at) + INTERVAL 1 MICROSECOND) AS next
FROM stopped_partitions
WHERE topic = {topic:String} AND partition = {partition:UInt16}
