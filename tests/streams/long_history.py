"""Months of answers and labels, written inside ClickHouse, and a warehouse that says what it reads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.generated import FEEDBACK_FIXED, FIXED, ID
from headrace.contract import ids
from headrace.errors import Transient
from headrace.warehouse import Warehouse


class Recorded(Warehouse):
    """Notes which windows are counted for which tasks.

    clock: the time that the monitor is told; None: ClickHouse's
    read: how many rows ClickHouse read for the queries that a test names here, with 0: five statements for each
    asked: how often each was asked
    fails: whether counting the windows from the first moment up to the second times out
    """

    def __init__(self, inner: Warehouse) -> None:
        super().__init__(inner._client, inner.database)
        self.clock: datetime | None = None
        self.fails: Callable[[datetime, datetime], bool] = lambda window_from, window_to: False
        self.counted: list[tuple[frozenset[str], datetime, datetime]] = []
        self.read: dict[str, int] = {}
        self.asked: dict[str, int] = defaultdict(int)

    def query(self, name: str, **parameters: Any) -> list[dict[str, Any]]:
        if name == "shared/clock" and self.clock is not None:
            return [{"now": self.clock}]
        self.asked[name] += 1
        if name not in self.read:
            return super().query(name, **parameters)
        found: list[dict[str, Any]] = []
        self.read[name] += rows_read(self, lambda: found.extend(super(Recorded, self).query(name, **parameters)))
        return found

    def command(self, sql: str, **parameters: Any) -> None:
        if "INSERT INTO window_counts\n" in sql:
            window_from, window_to = (
                ids.EPOCH + parameters[name] * timedelta(milliseconds=1) for name in ("window_from", "window_to")
            )
            if self.fails(window_from, window_to):
                raise Transient("Timeout exceeded", 159)
            self.counted.append((frozenset(parameters["tasks"]), window_from, window_to))
        super().command(sql, **parameters)


def rows_read(warehouse: Warehouse, work: Callable[[], object]) -> int:
    """How many rows ClickHouse reads for it."""

    def so_far() -> int:
        return int(warehouse.rows("SELECT value FROM system.events WHERE event = 'SelectedRows'")[0]["value"])

    idle = -so_far() + so_far()
    before = so_far()
    work()
    return so_far() - before - idle


def answered(sink: Warehouse, task: str, since: datetime, until: datetime, every: timedelta, /, **fields: str) -> int:
    """Answers of `task`@1, all audited, each stored as it was given; returns how many. fields: SQL by column."""
    n, millis = (
        (until - since) // every,
        f"toUInt64({ids.millis(since)} + number * {every // timedelta(milliseconds=1)})",
    )
    columns = {
        "inference_id": ID.format(millis=millis, fixed=FIXED, n=f"({millis}, '{task}')"),
        "occurred_at": f"fromUnixTimestamp64Milli({millis}, 'UTC')", "ingested_at": "occurred_at",
        "tenant": "'default'", "task": f"'{task}'", "version": f"'{task}@1'", "arm": "'live'",
        "session_id": "toString(number)",
        "label": "'hr'", "audited": "true", "audit_probability": "1", "input": "'how do I?'", "latency_ms": "20",
    } | fields  # fmt: skip
    select = ", ".join(f"{text} AS {name}" for name, text in columns.items())
    sink.command(
        f"INSERT INTO inferences ({', '.join(columns)}) SELECT {select} FROM numbers({n})"
        " SETTINGS max_partitions_per_insert_block = 0"
    )
    return n


def said(sink: Warehouse, task: str, since: datetime, until: datetime, every: timedelta, **fields: str) -> None:
    """A label of the audit on each of these answers, a minute after it. fields: SQL by column."""
    n, step = (until - since) // every, every // timedelta(milliseconds=1)
    millis = f"toUInt64({ids.millis(since)} + number * {step})"
    columns = {
        "feedback_id": ID.format(millis=f"({millis} + 60000)", fixed=FEEDBACK_FIXED, n=f"({millis}, '{task}')"),
        "inference_id": ID.format(millis=millis, fixed=FIXED, n=f"({millis}, '{task}')"),
        "occurred_at": f"fromUnixTimestamp64Milli({millis} + 60000, 'UTC')", "ingested_at": "occurred_at",
        "tenant": "'default'", "task": f"'{task}'", "source": "'audit'", "signal": "'label'", "label": "'hr'",
        "ground_truth": "true", "rater": "'expert'",
    } | fields  # fmt: skip
    select = ", ".join(f"{text} AS {name}" for name, text in columns.items())
    sink.command(
        f"INSERT INTO feedback ({', '.join(columns)}) SELECT {select} FROM numbers({n})"
        " SETTINGS max_partitions_per_insert_block = 0"
    )


def whole_hour(before: timedelta = timedelta(0)) -> datetime:
    """The last whole hour, or one so long before it."""
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - before
