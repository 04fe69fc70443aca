"""Plan and Execute: `python -m trainer job.json` curates a data set, tunes candidates, evaluates, gates and publishes.

A batch program that a consumer starts: exit code and result.json are its answer, JSON lines on standard output its
progress. Read job.py, curate.py, candidates.py, choose.py, gate.py, publishing.py in that order.
"""

from headrace.scoring import sleep_while_waiting

sleep_while_waiting()  # before any module of the trainer imports torch
