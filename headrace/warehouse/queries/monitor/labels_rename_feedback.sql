-- Writes, in one partition of feedback, the ids of a task's labels that were stored by their texts before the plan had them.
-- said: as they are stored; ids: the id of each. When it returns they are so on this server.
ALTER TABLE feedback
    UPDATE label = transform(label, {said:Array(String)}, {ids:Array(String)}, label)
    IN PARTITION ID {partition:String}
    WHERE task = {task:String} AND label IN {said:Array(String)}
SETTINGS mutations_sync = 1
