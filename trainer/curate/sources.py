"""What the trainer reads from the warehouse, as plain values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np

from headrace.contract import ids
from headrace.contract.job_file import Attempt
from headrace.warehouse import Warehouse, query_text
from trainer.curate.likeness import SKETCH, Likeness
from trainer.curate.rows import AnswerRow, Row

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


class Texts:
    """The questions of a task that anyone said anything about. They stay in the warehouse until they are chosen."""

    def __init__(self, warehouse: Warehouse, task: str) -> None:
        self._warehouse = warehouse
        self._task = task

    def likeness(self) -> Likeness:
        """Of all of them."""
        read = bytearray()
        for piece in self._warehouse.stream(query_text("trainer/curate_sketches"), task=self._task):
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


def look(warehouse: Warehouse, attempt: Attempt, dataset: str) -> int:
    """The number, from 1, of this look at test rows since the live version won."""
    asked = {"task": attempt.task, "job_id": str(attempt.job_id), "dataset": dataset, "live": attempt.live}
    rows = warehouse.query("trainer/looks", **asked)
    return int(rows[0]["looks"]) + 1


def labels(warehouse: Warehouse, task: str, tenant: str, since: datetime) -> int:
    """Blind audit labels since then; tenant: whose alone count, empty for all."""
    since_us = (since - ids.EPOCH) // timedelta(microseconds=1)
    return int(warehouse.query("shared/labels_available", task=task, tenant=tenant, since_us=since_us)[0]["labels"])


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
