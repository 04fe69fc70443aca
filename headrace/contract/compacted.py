"""What a compacted control topic says of each key: a record, none, or one that cannot be read, which is not none.

A record that a newer headrace wrote, garbage, and a topic that lost what it held must never look like a first start:
whoever starts over then overwrites what serves. The warehouse's copy of the topic tells a first start from a loss.
Everything here is pure; consumers, gateways and the command line decide by it alike.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

from headrace.contract.control import Job, Promotion
from headrace.contract.elements import element
from headrace.contract.events import Record
from headrace.contract.reading import record_of
from headrace.contract.topics import JOBS, Topic
from headrace.errors import EventError

R = TypeVar("R", bound=Record)

MAX_REASON = 500
# A number in bytes that cannot be read is only believed where it may be a generation.
MAX_GENERATION = 2**31

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that is there, or ought to be, and cannot be used.

    key: of the record
    reason: one sentence
    task, generation: as far as the bytes tell; empty and 0 where they do not
    """

    key: str
    reason: str
    task: str = ""
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Compacted(Generic[R]):
    """A topic's last record of each key, by key."""

    read: Mapping[str, R]
    unreadable: Mapping[str, Unreadable]


def compacted(values: Mapping[bytes, bytes], topic: Topic, model: type[R]) -> Compacted[R]:
    """What the values of a snapshot say.

    model: the topic's own
    """
    found = [reading(key, value, topic, model) for key, value in values.items()]
    return Compacted(
        {str(getattr(one, topic.key)): one for one in found if not isinstance(one, Unreadable)},
        {one.key: one for one in found if isinstance(one, Unreadable)},
    )


def reading(key: bytes, value: bytes, topic: Topic, model: type[R]) -> R | Unreadable:
    """One record. Under a key that is not its own it cannot be read: it would hide the one that belongs there."""
    name = key.decode(errors="backslashreplace")
    try:
        record = record_of(model, value)
    except EventError as error:
        reason = str(error)
    else:
        own = str(getattr(record, topic.key))
        if own == name:
            return record
        reason = f"it is the record of {own!r} under another key"
    found = element(value).value
    fields = found if isinstance(found, dict) else {}
    task = name if topic.key == "task" else fields.get("task")
    generation = fields.get("generation")
    return Unreadable(
        name,
        " ".join(reason.split())[:MAX_REASON],
        task if isinstance(task, str) else "",
        generation if type(generation) is int and 0 < generation < MAX_GENERATION else 0,
    )


def promotion_of(
    task: str, topic: Compacted[Promotion], generations: Mapping[str, int] | None
) -> Promotion | Unreadable | None:
    """Who serves a task; None at its first start.

    generations: the newest generation of each task in the warehouse's copy; None where the warehouse does not answer
    """
    if task in topic.unreadable:
        return topic.unreadable[task]
    promotion = topic.read.get(task)
    if generations is None:
        waits = "the topic has none, and the warehouse, which tells a first start from a loss, does not answer"
        return promotion or Unreadable(task, waits, task)
    copied = generations.get(task, 0)
    if promotion is None:
        lost = f"the topic has none, but the warehouse has copied generation {copied}"
        return Unreadable(task, lost, task, copied) if copied else None
    if promotion.generation < copied:
        older = f"the topic says generation {promotion.generation}, but the warehouse has copied {copied}"
        return Unreadable(task, older, task, copied)
    return promotion


def jobs_of(task: str, topic: Compacted[Job], copied: Mapping[str, str] | None) -> list[Job] | Unreadable:
    """Every job that a task has had; none at its first start.

    copied: the task of each job in the warehouse's copy, by the job's id; None where the warehouse does not answer:
        a topic that has jobs of the task is then believed
    """
    for key, found in topic.unreadable.items():
        whose = (copied or {}).get(key) or found.task
        # A job whose task is not known may be this one's.
        if _is_id(key) and whose in ("", task):
            return Unreadable(key, f"job {key}: {found.reason}", task)
    jobs = [job for job in topic.read.values() if job.task == task]
    if copied is None:
        waits = "the topic has no jobs, and the warehouse, which tells a first start from a loss, does not answer"
        return jobs or Unreadable(task, waits, task)
    lost = [key for key, whose in copied.items() if whose == task and key not in topic.read]
    if lost:
        return Unreadable(task, f"the warehouse has copied {len(lost)} jobs that the topic does not have", task)
    return jobs


def _is_id(key: str) -> bool:
    """A job's key is its id: what stands under another key hides no job."""
    try:
        UUID(key)
    except ValueError:
        log.error("a record on %s has the key %r, which is no job's, and is passed over", JOBS.name, key)
        return False
    return True
