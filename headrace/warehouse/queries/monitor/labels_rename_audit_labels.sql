-- Writes, in one partition of audit_labels, the ids of a task's labels that were stored by their texts before the plan had them.
-- said: as they are stored; ids: the id of each. When it returns they are so on this server.
ALTER TABLE audit_labels
    UPDATE label = transform(label, {said:Array(String)}, {ids:Array(String)}, label),
    answered = transform(answered, {said:Array(String)}, {ids:Array(String)}, answered)
    IN PARTITION ID {partition:String}
    WHERE task = {task:String} AND (label IN {said:Array(String)} OR answered IN {said:Array(String)})
SETTINGS mutations_sync = 1
