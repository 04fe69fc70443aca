-- A step has come as far as `reached`. Of one name the row that is written last counts, however the clock was set meanwhile.
INSERT INTO cursors (name, reached, at)
SELECT {name:String}, {reached:DateTime64(3, 'UTC')}, greatest(now64(3, 'UTC'), max(at) + INTERVAL 1 MILLISECOND)
FROM cursors
WHERE name = {name:String}
