-- Up to which offset, not included, records of a topic's partitions are read by the rules that held before its split: one
-- row a partition. The least that was ever written counts.
SELECT partition, min(bound) AS bound FROM topic_bounds WHERE topic = {topic:String} GROUP BY partition ORDER BY partition
