"""What the monitor has to know before it decides, read from the warehouse: the promotion, the labels, the open job."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from headrace import ids
from headrace.control import Promotion
from headrace.verdict import Verdict
from headrace.warehouse.copies import record
from streams.labels import by_day
from streams.policy import Attempt
from streams.queries import Queries, clickhouse_time

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loop:
    """How busy a task's loop is.

    triggers: ids of the triggers made since the live version became live
    last_trigger_at: event time of the last trigger of the task, ever
    busy: an open job, one that won and has no rollout yet, or a fresh trigger without a job, in words; empty for none
    asked_for: the plan's labels when the last trigger was made; trained_for: when that of the live version's job was;
        empty where that is not known
    drew_at: event time of the last uniform draw of audits
    attempt: the last one, where it met the test rows against the live version and had no winner
    """

    triggers: tuple[UUID, ...]
    last_trigger_at: datetime | None
    busy: str
    asked_for: frozenset[str]
    trained_for: frozenset[str]
    drew_at: datetime | None
    attempt: Attempt | None


def promotion(queries: Queries, task: str) -> Promotion | None:
    """The present generation; None before the first, and where a newer version wrote one that cannot be read here."""
    rows = queries.query("monitor_promotion", task=task)
    if not rows:
        return None
    found = record(rows[0], Promotion)
    if found is None:
        # An older one would decide about what does not serve any more.
        log.error("generation %s of %s cannot be read: nothing is decided about it", rows[0]["generation"], task)
    return found


def labels(queries: Queries, task: str, current: Promotion, since: datetime, until: datetime) -> int:
    """Base-audit labels of the live version's answers from `since` to the watermark."""
    return sum(row["labels"] for row in by_day(queries, task, current.live.version, since, until))


def loop(queries: Queries, current: Promotion) -> Loop:
    """What the last trigger of the task led to so far, as of the present generation."""
    row = queries.query(
        "monitor_loop",
        task=current.task,
        since=clickhouse_time(current.since),
        generation=current.generation,
        live=current.live.version,
        live_job=str(current.live.job_id or UUID(int=0)),
    )[0]
    busy = ""
    if row["open_job"]:
        busy = f"job {row['open_job']} is {row['open_state']}"
    elif row["settling"]:
        busy = f"job {row['settling']} won, and its rollout is not decided yet"
    elif row["waiting"]:
        busy = f"trigger {row['waiting']} waits for its job"
    return Loop(
        triggers=tuple(UUID(text) for text in row["trigger_ids"]),
        last_trigger_at=_moment(row["last_at"]),
        busy=busy,
        asked_for=frozenset(row["last_labels"] or ()),
        trained_for=frozenset(row["live_labels"] or ()),
        drew_at=_moment(row["drew_at"]),
        attempt=_attempt(row),
    )


def _attempt(row: dict[str, Any]) -> Attempt | None:
    verdict, test_from, decided_at = Verdict.read(row["verdict"] or ""), row["verdict_from"], row["verdict_at"]
    if verdict is None or test_from is None or decided_at is None:
        return None
    return Attempt(int(row["verdict_job"]), row["verdict_kind"], verdict, test_from, decided_at)


def _moment(found: datetime | None) -> datetime | None:
    """ClickHouse's greatest of no rows is 1970."""
    return None if found is None or found <= ids.EPOCH else found
