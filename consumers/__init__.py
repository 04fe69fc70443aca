"""What decides and executes: `retrain` (a trigger becomes a job), `rollout` (the only writer of promotions), `judge`
(which step failed behind a complaint).

`ownership` is what retrain and rollout share: one fenced owner for each partition of their topic.
"""
