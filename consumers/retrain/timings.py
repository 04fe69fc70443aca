"""How often and how long, seconds of wall clock. Tests shorten them; nothing else sets them."""

from __future__ import annotations

from dataclasses import dataclass

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Timings:
    """See the module.

    look_s: between two looks at a running trainer
    heartbeat_s: between two records of a job that is open
    handover_s: a new owner of a job that was running waits this long: an old one on another machine, fenced, has
        found out at its next heartbeat and killed its trainer
    labels_s: between two counts of labels while a job waits; waiting_s: how long it may wait
    retry_s: after a crash, doubled by each further one
    grace_s: for a trainer that is told to stop
    overtime_s: for a trainer that has spent the plan's minutes: it judges what it has finished, see attempt.patience_s
    """

    look_s: float = 0.5
    heartbeat_s: float = 2.0
    handover_s: float = 2.5
    labels_s: float = 5.0
    waiting_s: float = 7 * DAY_S
    retry_s: float = 1.0
    grace_s: float = 5.0
    overtime_s: float = 60.0
