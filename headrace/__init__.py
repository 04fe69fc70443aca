"""What every part shares; it imports none of them.

contract    what the parts say to each other, and how it is read
plan        the plan, flywheel.toml
settings    where things are and how to log in there
errors      every error headrace raises on purpose
bus         Kafka as the parts see it, and the same in memory for tests
warehouse   ClickHouse: the schema, the queries, and the client
places      where the rows of an event lie in the warehouse
spool       events on local disk until Kafka has them
client      the SDK of an agent frontend
integrations  one line that makes a program's calls of a model inferences
testing     the SDK in memory, for the tests of a program that emits events
conversations  requests and responses of language models, in whatever shape they were written down
importing   what a company has already, as events
embedded    the servers that `headrace up` starts itself, and the supervisor
access      who may do what, how it is proven, and what is written down of it
backup      a flywheel in one file, and out of it again
restoring   compares the control topics with the warehouse's copy of them, and writes back what was lost
doctor      is everything as it should be
cli         the command line
models      a published model, and how it answers
statistics  intervals, and tests of what is paired or compared
judging     a language model that judges answers
costs       what serving costs: fixed and marginal, and from which traffic on it pays
savings     what was saved against the incumbent on the same requests
kinds       what is added by one file: a family of models, a method of tuning, an evaluator, an engine
process     a process and its children: who starts them, who ends them, who says that they are ready
cron        five-field cron expressions, in UTC and on event time
"""
