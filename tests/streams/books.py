"""A warehouse and its balance, ways to fill it, and clients of it that die or are refused."""

from __future__ import annotations

import dataclasses
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from headrace.contract.control import Counter
from headrace.contract.events import Event, Feedback, Inference, new_feedback, new_inference
from headrace.contract.ids import uuid7
from headrace.errors import Transient
from headrace.plan import Privacy
from headrace.warehouse import Warehouse
from streams.housekeeping import Housekeeping, Pass

NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=45)
YEARS_AGO = NOW - timedelta(days=800)


class Books:
    """A warehouse, ways to fill it, and its balance, read in both ways."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self.keeper = Housekeeping(warehouse, Privacy(parked_days=30), "test", grace=timedelta(0))

    def store(self, *events: Event, inserted: datetime | None = None) -> None:
        """inserted: when, by ClickHouse's clock; now where it is not said"""
        at = {} if inserted is None else {"ingested_at": f"{inserted:%F %T}"}
        for kind, model in (("inferences", Inference), ("feedback", Feedback)):
            rows = [
                json.dumps(json.loads(event.to_json()) | {"extra": "{}"} | at).encode()
                for event in events
                if isinstance(event, model)
            ]
            self.warehouse.insert(kind, rows)

    def count(self, kind: str, sequence: int, emitted: int, at: datetime = NOW, emitter: str = "desk.1") -> None:
        counter = Counter(emitter=emitter, kind=kind, sequence=sequence, at=at, emitted=emitted, acknowledged=emitted)
        self.warehouse.insert("emitters", [counter.to_json()])

    def balances(self) -> dict[str, dict[str, int]]:
        """Each kind's row without its zeros; what passes settled and all of history agree on it."""
        quick, full = self.warehouse.query("cli/reconcile"), self.warehouse.query("cli/reconcile_full")
        assert quick == full
        return {row["kind"]: {name: value for name, value in row.items() if value != 0} for row in quick}

    def balance(self, kind: str) -> dict[str, int]:
        return self.balances()[kind]

    def places(self, kind: str) -> dict[str, int]:
        return {name: value for name, value in self.balance(kind).items() if name != "kind"}

    def one(self, sql: str) -> Any:
        return next(iter(self.warehouse.rows(sql)[0].values()))


def answer(at: datetime = NOW) -> Inference:
    return new_inference("router", "router@1", emitter="desk.1", inference_id=uuid7(at), occurred_at=at)


def thumb(about: Inference, at: datetime = NOW, **fields: Any) -> Feedback:
    return new_feedback(
        about.inference_id, "user", "thumb", value=1, emitter="desk.1", feedback_id=uuid7(at), occurred_at=at, **fields
    )


def truth(about: Inference) -> Feedback:
    """A blind label of an answer."""
    return new_feedback(
        about.inference_id, "audit", "label", label="hr", emitter="desk.1",
        feedback_id=uuid7(about.occurred_at), occurred_at=about.occurred_at,
    )  # fmt: skip


def some_history(books: Books) -> tuple[list[Inference], list[Feedback]]:
    """Two answers, one old and one new; two old thumbs on answers that never came, a new one on one that has not."""
    old, new, never, late = answer(LONG_AGO), answer(), answer(LONG_AGO), answer()
    said = [thumb(old, LONG_AGO), thumb(new), thumb(never, LONG_AGO), thumb(never, LONG_AGO, revision=1), thumb(late)]
    books.store(old, new, *said)
    books.count("inferences", 1, 2)
    books.count("feedback", 1, 5)
    return [old, new, never, late], said


def old_history(books: Books) -> list[Event]:
    """Old answers: one with a thumb, one with a corrected one, one with a thumb of today; and a new one."""
    events = old_events(books)
    books.count("inferences", 1, 4)
    books.count("feedback", 1, 5)
    return events


def old_events(books: Books, at: datetime = YEARS_AGO) -> list[Event]:
    """The same, of an emitter that does not count them."""
    old = [answer(at), answer(at), answer(at)]
    late, new = thumb(old[2]), answer()
    events = [*old, thumb(old[0], at), thumb(old[1], at), thumb(old[1], at, revision=1), late, new, thumb(new)]
    books.store(*events)
    return events


class Dies(Exception):
    """The process is gone."""


class Mortal:
    """A warehouse whose client dies before its n-th statement that changes anything."""

    def __init__(self, warehouse: Warehouse, at: int) -> None:
        self._warehouse, self._left = warehouse, at

    def __getattr__(self, name: str) -> Any:
        if name in ("command", "insert"):
            self._left -= 1
            if self._left == 0:
                raise Dies
        return getattr(self._warehouse, name)


class Hindered:
    """A warehouse that refuses the statements that `refuses` matches, and remembers all that change something."""

    def __init__(self, warehouse: Warehouse, refuses: str = "^$") -> None:
        self._warehouse, self._refuses = warehouse, re.compile(refuses)
        self.ran: list[str] = []

    def command(self, sql: str, **parameters: Any) -> None:
        self.ran.append(sql)
        if self._refuses.search(sql):
            raise Transient("not now")
        self._warehouse.command(sql, **parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._warehouse, name)


def look(books: Books, warehouse: Hindered) -> Pass:
    return dataclasses.replace(books.keeper, warehouse=warehouse).look()  # type: ignore[arg-type]
