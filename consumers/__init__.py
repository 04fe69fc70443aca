"""What decides and executes, each a process of its own.

retrain    a trigger becomes a job, a job becomes a trained model or a reason why there is none
rollout    the only writer of promotions: what serves, what is tried, what to go back to
judge      which step of the agent failed behind a complaint
alert      what people should hear of, to the plan's webhook
ownership  one fenced owner for each partition of a control topic
copies     the warehouse's copy of the control topics, asked by their owners; ClickHouse may be away
process    what every consumer's process does around its work: its name, its log, its exit code
"""
