"""What the monitor has to know before it decides, read from the warehouse: the promotion, the labels, the open job."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from headrace.contract import ids
from headrace.contract.control import JobState, Promotion, TriggerKind
from headrace.contract.verdict import Verdict
from headrace.warehouse import clickhouse_time
from headrace.warehouse.copies import record
from streams.labels import Series, by_day
from streams.policy import Attempt, Waiting
from streams.queries import Queries

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loop:
    """How busy a task's loop is.

    triggers: ids of the triggers made since the live version became live
    last_trigger_at: event time of the last trigger of the task, ever
    busy: a claimed or running job, one that won and has no rollout yet, or a fresh trigger without a job, in words;
        empty for none
    waiting: the job that waits for labels
    asked_for: the plan's labels when the last trigger was made; trained_for: when that of the live version's job was;
        empty where that is not known
    passes: whether it may change with the clock alone
    drew_at: event time of the last uniform draw of audits
    attempt: the last one, where it met the test rows against the live version and had no winner
    """

    triggers: tuple[UUID, ...]
    last_trigger_at: datetime | None
    busy: str
    waiting: Waiting | None
    passes: bool
    asked_for: frozenset[str]
    trained_for: frozenset[str]
    drew_at: datetime | None
    attempt: Attempt | None


@dataclass(slots=True)
class Control:
    """The generations and loops of tasks, all read at once and again where a control message came. Blocking.

    tasks: by name
    """

    queries: Queries
    tasks: Collection[str]
    _state: object = None
    _promotions: dict[str, Promotion] = field(default_factory=dict)
    _loops: dict[str, Loop] = field(default_factory=dict)

    def see(self, state: object) -> None:
        """Read again what the last state of all control messages (monitor/control.sql) and the clock have changed.

        Raises WarehouseError.
        """
        if state != self._state:
            self._state, self._loops = None, {}
            self._promotions = promotions(self.queries, self.tasks)
            self._loops = loops(self.queries, self._promotions.values())
            self._state = state

    def promotion(self, task: str) -> Promotion | None:
        """The present generation; None before the first, and where a newer version wrote one that cannot be read."""
        return self._promotions.get(task)

    def loop(self, task: str) -> Loop:
        """Of a task with a promotion. Raises WarehouseError."""
        if self._loops[task].passes:
            self._loops |= loops(self.queries, [self._promotions[task]])
        return self._loops[task]

    def series(self) -> Iterator[Series]:
        """What looks ask about labels."""
        for task, current in self._promotions.items():
            for since in (current.since, *since_trigger(self._loops[task], current), *since_change(self._loops[task])):
                yield Series(task, current.live.version, clickhouse_time(since))


def promotions(queries: Queries, tasks: Collection[str]) -> dict[str, Promotion]:
    """The present generations, by task, without those that cannot be read. Raises WarehouseError."""
    rows = queries.query("monitor/promotions", tasks=list(tasks))
    found = {row["task"]: record(row, Promotion) for row in rows}
    for row in rows:
        if found[row["task"]] is None:
            # An older one would decide about what does not serve any more.
            log.error("generation %s of %s cannot be read: nothing is decided about it", row["generation"], row["task"])
    return {task: promotion for task, promotion in found.items() if promotion is not None}


def since_trigger(loop: Loop, current: Promotion) -> tuple[datetime, ...]:
    """When the last trigger of the live version was; nothing where there was none."""
    return (loop.last_trigger_at,) if loop.last_trigger_at is not None and loop.last_trigger_at > current.since else ()


def since_change(loop: Loop) -> tuple[datetime, ...]:
    """When the change began that the last attempt without a winner was about, if there is one."""
    return (loop.attempt.test_from,) if loop.attempt is not None else ()


def labels(queries: Queries, task: str, current: Promotion, since: datetime, until: datetime) -> int:
    """Base-audit labels of the live version's answers from `since` to the watermark."""
    return sum(row["labels"] for row in by_day(queries, task, current.live.version, since, until))


def loops(queries: Queries, current: Collection[Promotion]) -> dict[str, Loop]:
    """What the last trigger of each task led to so far, as of its present generation. Raises WarehouseError."""
    rows = queries.query(
        "monitor/loop",
        tasks=[promotion.task for promotion in current],
        sinces=[clickhouse_time(promotion.since) for promotion in current],
        generations=[promotion.generation for promotion in current],
        lives=[promotion.live.version for promotion in current],
        live_jobs=[str(promotion.live.job_id or UUID(int=0)) for promotion in current],
    )
    return {row["task"]: _loop(row) for row in rows}


def _loop(row: dict[str, Any]) -> Loop:
    busy = ""
    waiting = _waiting(row)
    if row["open_job"] and waiting is None:
        busy = f"job {row['open_job']} is {row['open_state']}"
    elif row["settling"]:
        busy = f"job {row['settling']} won, and its rollout is not decided yet"
    elif row["waiting"]:
        busy = f"trigger {row['waiting']} waits for its job"
    return Loop(
        triggers=tuple(UUID(text) for text in row["trigger_ids"]),
        last_trigger_at=_moment(row["last_at"]),
        busy=busy,
        waiting=waiting,
        passes=bool(row["settling"] or row["waiting"]),
        asked_for=frozenset(row["last_labels"]),
        trained_for=frozenset(row["live_labels"]),
        drew_at=_moment(row["drew_at"]),
        attempt=_attempt(row),
    )


def _waiting(row: dict[str, Any]) -> Waiting | None:
    """None too where its trigger is of a newer version's kind: it is busy then, and gives way to nothing."""
    if row["open_state"] != JobState.WAITING or row["open_kind"] not in set(TriggerKind):
        return None
    return Waiting(int(row["open_number"]), TriggerKind(row["open_kind"]), row["open_at"], int(row["open_needs"]))


def _attempt(row: dict[str, Any]) -> Attempt | None:
    verdict, test_from, decided_at = Verdict.read(row["verdict"]), row["verdict_from"], row["verdict_at"]
    if verdict is None:
        return None
    return Attempt(int(row["verdict_job"]), row["verdict_kind"], verdict, test_from, decided_at)


def _moment(found: datetime | None) -> datetime | None:
    """ClickHouse's greatest of no rows is 1970."""
    return None if found is None or found <= ids.EPOCH else found
