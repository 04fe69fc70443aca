-- Drops one part of a table. A part never changes: what arrived after it was looked at stands in another one, and stays.
ALTER TABLE {table:Identifier} DROP PART {part:String} SETTINGS max_partition_size_to_drop = 0
