"""Plan and Execute: `python -m trainer job.json` curates a data set, tunes candidates, evaluates, gates and publishes.

A batch program that a consumer starts: exit code and result.json are its answer, JSON lines on standard output its
progress.

process   the batch program around the stages
curate    from what people said to the rows of a data set
tune      from the plan's candidates to models, a method a file
evaluate  what they showed, and which goes to the test rows
gate      may it serve
progress  what a running trainer says on standard output
heads     a linear head that is fitted without a gradient, and how much each row counts
report    what a person reads of a run, and the model card of a version
publish   from a tuned candidate to what gateways load
__main__  `python -m trainer job.json`
"""
