-- Fields that a newer version adds to control messages are kept, so that nothing is lost to an older one.
ALTER TABLE triggers ADD COLUMN IF NOT EXISTS extra String COMMENT 'fields that a newer version added, a JSON object; empty where there are none' AFTER evidence;
ALTER TABLE jobs ADD COLUMN IF NOT EXISTS extra String COMMENT 'fields that a newer version added, a JSON object; empty where there are none' AFTER result;
ALTER TABLE progress ADD COLUMN IF NOT EXISTS extra String COMMENT 'fields that a newer version added, a JSON object; empty where there are none' AFTER metrics;
ALTER TABLE rollouts ADD COLUMN IF NOT EXISTS extra String COMMENT 'fields that a newer version added, a JSON object; empty where there are none' AFTER reason;
ALTER TABLE promotions ADD COLUMN IF NOT EXISTS extra String COMMENT 'fields that a newer version added, a JSON object; empty where there are none' AFTER request_id;
ALTER TABLE replicas ADD COLUMN IF NOT EXISTS extra String COMMENT 'fields that a newer version added, a JSON object; empty where there are none' AFTER failed;
ALTER TABLE dead_letters ADD COLUMN IF NOT EXISTS extra String COMMENT 'fields that a newer version added, a JSON object; empty where there are none' AFTER event_id;
ALTER TABLE emitters ADD COLUMN IF NOT EXISTS extra String COMMENT 'fields that a newer version added, a JSON object; empty where there are none' AFTER dropped;
