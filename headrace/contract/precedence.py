"""Which trigger ends a job that waits for labels and takes its place.

    rank  kinds
    3     manual
    2     drift, experts
    1     cheaper
    0     cadence

A higher rank takes the place of a lower one. Within a rank it takes a newer reason: another request of a person,
another change of the list of labels, or a change of the world that began after the waiting job's trigger was decided.
A job whose trainer runs ends by itself within its budget, and gives way to nothing.
"""

from __future__ import annotations

from datetime import datetime

from headrace.contract.control import TriggerKind

RANKS = {
    TriggerKind.CANCEL: -1,
    TriggerKind.CADENCE: 0,
    TriggerKind.CHEAPER: 1,
    TriggerKind.EXPERTS: 2,
    TriggerKind.DRIFT: 2,
    TriggerKind.MANUAL: 3,
}
ALWAYS_NEWER = frozenset({TriggerKind.MANUAL, TriggerKind.EXPERTS})


def takes_the_place(
    kind: TriggerKind, change: datetime | None, waiting: TriggerKind, waiting_decided_at: datetime
) -> bool:
    """Whether a trigger of this kind ends a waiting job.

    change: when the change that it is about began, event time; None where it is about none
    waiting, waiting_decided_at: kind and event time of the waiting job's trigger
    """
    if RANKS[kind] != RANKS[waiting]:
        return RANKS[kind] > RANKS[waiting]
    newer = kind is TriggerKind.DRIFT and change is not None and change > waiting_decided_at
    return newer or kind in ALWAYS_NEWER
