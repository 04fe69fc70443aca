"""The only writer of promotions: what serves, what is tried, what to go back to.

table        the states of a rollout
request      which requests are obeyed
holding      a step forward that waits for a person or for the end of a freeze window
alarm        sends a share of the sessions to the incumbent while the live version is broken
step         may a rollout go on and a live version stay, by the evidence and the plan's bar
traffic      what the warehouse shows of a step
replicas     what each gateway replica serves, by its heartbeats
plan_change  tells that the plan is another one than before, and what was changed in it
record       what the log of actions says of a change of a promotion
owner        the promotions of one partition's tasks
__main__     `python -m consumers.rollout`
"""
