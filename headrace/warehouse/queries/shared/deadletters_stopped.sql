-- The newest word on each partition that was ever stopped: stopped, or accepted through an offset. One row a partition. A
-- permission that was given before its topic was made again, as offset_proofs knows it, holds for no offset of the new one.
SELECT topic, partition, state, stops.at AS at, offset, if(state = 'accepted' AND stops.at < since, 0, through) AS through,
       events, poison, reason, by
FROM
(
    SELECT * FROM stopped_partitions FINAL
    ORDER BY at DESC
    LIMIT 1 BY topic, partition
) AS stops
LEFT JOIN (SELECT topic, partition, since FROM offset_proofs FINAL) AS proofs USING (topic, partition)
ORDER BY at DESC
