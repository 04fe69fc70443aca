"""What the trainer reads from the warehouse, as plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np

from headrace.contract import ids
from headrace.contract.job_file import Attempt
from headrace.warehouse import Warehouse, query_text
from trainer.curate.likeness import CHARACTERS, SKETCH, Likeness
from trainer.curate.rows import AnswerRow, Row
from trainer.curate.teacher import Told

AT_A_TIME = 1000
_SKETCHED = np.dtype([("digest", "S32"), ("count", "u1"), ("sketch", "<u4", (SKETCH,))])
NIL = UUID(int=0)
# Of the columns of curate_answers: what many answers have in common.
_SHARED = frozenset(
    {"tenant", "version", "answered", "user_ref", "key_id", "satisfied_key", "settled_label", "settled_source"}
    | {"settled_key", "audit_label"}
)


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the live version showed in the test window: requests, US dollars for a thousand, milliseconds."""

    requests: int
    cost_per_1k: float
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True, slots=True)
class Daily:
    """What versions answer a day, by task and version: requests, and US dollars as their answers are recorded."""

    requests: Mapping[tuple[str, str], float]
    usd: Mapping[tuple[str, str], float]

    def requests_of(self, task: str) -> float:
        """By all its versions together."""
        return sum(found for (of, _), found in self.requests.items() if of == task)


class Texts:
    """The questions of a task that anyone said anything about. They stay in the warehouse until they are chosen."""

    def __init__(self, warehouse: Warehouse, task: str, characters: int = CHARACTERS) -> None:
        self._warehouse = warehouse
        self._task = task
        self._characters = characters

    def likeness(self) -> Likeness:
        """Of all of them."""
        read, asked = bytearray(), {"task": self._task, "characters": self._characters}
        for piece in self._warehouse.stream(query_text("trainer/curate_sketches"), **asked):
            read += piece
        found = np.frombuffer(read, dtype=_SKETCHED)
        rows = np.argsort(found["digest"])
        return Likeness(found["digest"][rows], rows, found["sketch"])

    def of(self, rows: Sequence[Row]) -> dict[tuple[str, UUID], str]:
        """The texts of these rows by tenant and id, without those that are not what they were when they were chosen."""
        chosen = {(row.tenant, row.inference_id): row.text_digest for row in rows}
        ids_ = [str(row.inference_id) for row in rows]
        found: dict[tuple[str, UUID], str] = {}
        for start in range(0, len(ids_), AT_A_TIME):
            asked = {"task": self._task, "ids": ids_[start : start + AT_A_TIME]}
            for row in self._warehouse.query("trainer/curate_texts", **asked):
                if chosen.get((row["tenant"], row["inference_id"])) == row["digest"]:
                    found[row["tenant"], row["inference_id"]] = row["text"]
        return found


def answers(warehouse: Warehouse, task: str, texts: bool = True) -> list[AnswerRow]:
    """Every answer of the task that anyone said anything about.

    texts: False where the texts stay in the warehouse and their digests are read instead
    """
    once = _Once()
    reads = [once.of(field.name, str(field.type)) for field in fields(AnswerRow)]
    found: list[AnswerRow] = []
    for block in warehouse.blocks("trainer/curate_answers", task=task, with_texts=texts):
        found += [AnswerRow(*(read(value) for read, value in zip(reads, row, strict=True))) for row in block]
    return found


def traffic(warehouse: Warehouse, task: str, version: str, since: datetime) -> Traffic:
    """Zeros where the version answered nothing since then."""
    return Traffic(
        **warehouse.query("trainer/live_traffic", task=task, version=version, test_from=since.isoformat())[0]
    )


def daily(warehouse: Warehouse, until: datetime) -> Daily:
    """Of all tasks, in the seven days before `until` and since."""
    rows = warehouse.query("trainer/daily_traffic", since_us=_micros(until - timedelta(days=7)))
    named = {(row["task"], row["version"]): row for row in rows}
    return Daily(
        {name: float(row["requests_per_day"]) for name, row in named.items()},
        {name: float(row["usd_per_day"]) for name, row in named.items()},
    )


def number(warehouse: Warehouse, attempt: Attempt, name: str, tuned_on: str) -> int:
    """Of this candidate, from 1, among those that met test rows since the live version won, in that order.

    name, tuned_on: of the candidate in the plan, and of the data set that it was tuned on
    """
    asked = {"task": attempt.task, "job_id": str(attempt.job_id), "live": attempt.live}
    rows = warehouse.query("trainer/looks", candidate=name, tuned_on=tuned_on, **asked)
    return int(rows[0]["looks"]) + 1


def labels(warehouse: Warehouse, task: str, tenant: str, since: datetime) -> int:
    """Blind audit labels since then; tenant: whose alone count, empty for all."""
    asked = {"task": task, "tenant": tenant, "since_us": _micros(since)}
    return int(warehouse.query("shared/labels_available", **asked)[0]["labels"])


@dataclass(frozen=True, slots=True)
class Teacher:
    """Reads the answers of the version that is the teacher; see the queries trainer/teacher_*.

    tenant: whose alone, empty for all; since: answers before are no longer kept; until: those from then on do not train
    """

    warehouse: Warehouse
    task: str
    version: str
    tenant: str
    since: datetime
    until: datetime

    def drifted(self) -> datetime | None:
        """The earliest estimated start of a drift since its first answer; None where there was none."""
        asked = {"task": self.task, "version": self.version}
        until_us = int(self.warehouse.query("trainer/teacher_until", **asked)[0]["until_us"])
        return ids.EPOCH + timedelta(microseconds=until_us) if until_us else None

    def counts(self, labels: Sequence[str]) -> list[tuple[str, str, int, int]]:
        """What keeps answers from training, empty for nothing; their label; how many; how many texts they have."""
        rows = self.warehouse.query("trainer/teacher_counts", labels=list(labels), **self._asked())
        return [(str(row["reason"]), str(row["label"]), int(row["answers"]), int(row["texts"])) for row in rows]

    def drawn(self, shares: Mapping[str, float]) -> list[Told]:
        """That share of each label's texts."""
        asked = {"labels": list(shares), "shares": list(shares.values())} | self._asked()
        rows = self.warehouse.query("trainer/teacher_answers", **asked)
        return [Told(**row) for row in rows]

    def _asked(self) -> dict[str, Any]:
        return {
            "task": self.task,
            "version": self.version,
            "tenant": self.tenant,
            "from_us": _micros(self.since),
            "until_us": _micros(self.until),
        }


def _micros(moment: datetime) -> int:
    return (moment - ids.EPOCH) // timedelta(microseconds=1)


def labels_per_day(warehouse: Warehouse, task: str, tenant: str) -> float:
    """Blind audit labels a day of event time, lately; tenant: whose alone count, empty for all."""
    return float(warehouse.query("trainer/label_rate", task=task, tenant=tenant)[0]["per_day"])


class _Once:
    """Makes values of AnswerRow of what the warehouse returned, equal ones once."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._keys: dict[tuple[str, ...], tuple[str, ...]] = {}

    def of(self, name: str, kind: str) -> Callable[[Any], Any]:
        """How the values of a column are read."""
        if name in _SHARED:
            return lambda text: self._texts.setdefault(text, text)
        reads: dict[str, Callable[[Any], Any]]
        reads = {"UUID": _uuid, "bool": bool, "datetime": _utc, "tuple[str, ...]": self._of_keys}
        return reads.get(kind, _as_it_is)

    def _of_keys(self, keys: Sequence[str]) -> tuple[str, ...]:
        return self._keys.setdefault(tuple(keys), tuple(keys))


def _uuid(value: UUID) -> UUID:
    return value if value.int else NIL


def _utc(value: datetime) -> datetime:
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _as_it_is(value: Any) -> Any:
    return value
