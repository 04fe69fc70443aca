"""What decides and executes: `retrain` (a trigger becomes a job), `rollout` (the only writer of promotions), `judge`
(which step failed behind a complaint), `alert` (people hear of what happened).

`ownership` is what retrain and rollout share: one fenced owner for each partition of their topic.
"""
