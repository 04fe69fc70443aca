"""The command line: `headrace --help`.

Each command imports what it needs when it runs, so that help is quick.

commands    the commands put together; where an error becomes a sentence and an exit code
caller      who uses the command line, and whether they may
output      what commands print: a table for a person, JSON for a program
stack       up, down, status
contract    schema, plan check, emit: the contract, and a way to speak it
ask         sql, reconcile: questions to the warehouse
clickhouse  the warehouse for a person: away is one sentence
letters     deadletters: look at them, send them again, let a stopped partition go on
originals   finds the bytes of a dead letter
loop        trigger, cancel, jobs, why: the loop, asked to turn and asked what it did
rollout     promote, approve, rollback, pin, divert: what people say about who serves
why         a trigger's story in words and numbers
savings     savings: what was saved against the incumbent, and from which traffic on
lineage     taught, and what `why` says of an answer: from answers to labels and triggers, and back
report      report, suites: what a training run showed, and how candidates did on suites over time
dataset     dataset: what trained and tested a model, row for row: listed, shown, compared
dataset_build   asks the trainer for a data set, and for nothing else
dataset_export  writes a data set with its texts to a file
train       train: models of a file of rows, tuned and evaluated by hand
trainer     runs the trainer and shows what it says
lag         how far each group of readers is behind Kafka, in plain words
control     control: what is on the control topics, and the way back from what was lost
importing   import: what a company has already, as events
import_progress  what an import shows and says, and how it takes standard input
keys        keys: API keys, made, listed, rotated and revoked while everything runs
acls        acls: what a secured broker has to let each part and each role do
log         log: who did what, and from where
doctor      doctor: is every part, topic, table, key and clock as it should be
backup      backup, restore: a flywheel in one file, and out of it again
"""

from headrace.cli.commands import app

__all__ = ["app"]
