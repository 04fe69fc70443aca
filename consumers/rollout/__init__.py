"""The only writer of promotions: what serves, what is tried, what to go back to.

Read in this order: `table` (the states of a rollout), `request` (which requests are obeyed), `step` (advance, hold or
roll back, by the evidence), `traffic` and `replicas` (where evidence comes from), `owner` (one partition's tasks).
"""
