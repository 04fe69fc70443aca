"""Plan and Execute: `python -m trainer job.json` curates a data set, tunes candidates, evaluates, gates and publishes.

A batch program that a consumer starts: exit code and result.json are its answer, JSON lines on standard output its
progress.

run         one attempt at one job, from the warehouse to a published artifact
sources     what the trainer reads from the warehouse, as plain values
rows        plain values of curation: what was asked, answered and said, and what became of it
text        when two questions are the same: exactly, or nearly by their shingles
bounds      how much of a data set may rest on one user, and on one API key
curate      from what people said to rows that train, choose and test
curation    the first stage: the data set of an attempt
funnel      the counts between feedback and rows, and how many labels are still missing
dataset     an immutable data set: its digest, its files in the work folder, its rows in the warehouse
candidates  from the plan's candidates to folders that headrace.models.scoring can load, cheapest to try first
heads       the two heads that need no gradient
finetune    LoRA and full fine-tuning of the encoder with its head
checkpoint  a fine-tuning run on disk, from which it goes on as if it had never stopped
contest     the candidates of one attempt: tuned, compared, one of them judged
evaluate    what a model says to rows, how right it is, and how long it takes
choose      which candidate goes to the test rows
gate        may the chosen candidate serve
report      the rows of the table candidates: what each candidate of an attempt showed
publishing  from a tuned candidate to an artifact that a gateway may load
progress    what a running trainer says on standard output
lifecycle   at no moment do two trainers run for one device, and none outlives the consumer that started it
crash       what a crash says on standard error
__main__    `python -m trainer job.json`
"""

from headrace.models.scoring import sleep_while_waiting

sleep_while_waiting()  # before any module of the trainer imports torch
