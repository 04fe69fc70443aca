"""A trigger becomes a job, a job becomes a trained model or a reason why there is none.

Read in this order: `table` (the states of a job), `claim` (which triggers become jobs), `outcome` (what a trainer's end
means), `folders` (what attempts leave on disk), `child` (the trainer's process), `attempt` (one run of it), `owner`
(the jobs of one partition).
"""
