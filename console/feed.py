"""What the page shows, read from ClickHouse at most once a period however many people look."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Protocol

from headrace.contract import topics
from headrace.errors import Permanent, WarehouseError

Row = Mapping[str, Any]
Rows = Sequence[Row]

# Each panel is headrace/warehouse/queries/console/<panel>.sql, with these parameters.
PANELS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "live": {},
        "accuracy": {"points": 500},
        "timeline": {"rows": 60},
        "versions": {},
        "job": {},
        "progress": {},
        "candidates": {},
        "detectors": {},
        "events": {"inferences": topics.INFERENCES.name, "feedback": [topics.FEEDBACK.name, topics.LABELS.name]},
        "dead_letters": {"rows": 5},
        "replicas": {"rate_s": 60},
        "review": {},
        "actions": {"rows": 20},
    }
)
# A panel whose query takes t seconds rests 10 t before the next: a long history slows the page, not the warehouse.
REST = 10.0
UNKNOWN_TABLE, UNKNOWN_DATABASE = 60, 81


class FeedSource(Protocol):
    """What the feed asks of a Warehouse. Blocks; raises WarehouseError."""

    def query(self, name: str, **parameters: Any) -> list[dict[str, Any]]: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Rows by panel, and what is wrong with them.

    read_at: when they were last complete; None before the first time
    fault: one sentence for the banner; empty while all is well
    """

    rows: Mapping[str, Rows] = field(default_factory=dict)
    read_at: datetime | None = None
    fault: str = ""


class Feed:
    """The newest snapshot.

    connect: opens a FeedSource; called again after a fault
    where: the address of ClickHouse, for the sentence
    period_s: no panel is read more often
    patience_s: a reading that takes longer is reported as a fault, and waited for in the background
    """

    def __init__(
        self, connect: Callable[[], FeedSource], where: str, period_s: float = 1.5, patience_s: float = 2.5
    ) -> None:
        self._connect = connect
        self._where = where
        self._period_s = period_s
        self._patience_s = patience_s
        self._reader: FeedSource | None = None
        self._reading: asyncio.Task[Snapshot] | None = None
        self._due: dict[str, float] = {}
        self._next = 0.0
        self._snapshot = Snapshot()

    async def latest(self) -> Snapshot:
        """The newest snapshot, read first where it is due. Never raises for ClickHouse, never takes long."""
        if self._reading is None and time.monotonic() >= self._next:
            self._reading = asyncio.create_task(asyncio.to_thread(self._read))
        if self._reading is not None:
            done, _ = await asyncio.wait({self._reading}, timeout=self._patience_s)
            if not done:
                return replace(self._snapshot, fault=self._sentence("has not answered for some seconds"))
            # Another viewer may have taken the result meanwhile.
            if self._reading in done:
                self._reading = None
                self._next = time.monotonic() + self._period_s
                self._snapshot = done.pop().result()
        return self._snapshot

    def close(self) -> None:
        """Give the connection back."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _read(self) -> Snapshot:
        rows = dict(self._snapshot.rows)
        try:
            if self._reader is None:
                self._reader = self._connect()
            for panel, parameters in PANELS.items():
                began = time.monotonic()
                if began >= self._due.get(panel, 0.0):
                    rows[panel] = self._reader.query(f"console/{panel}", **parameters)
                    self._due[panel] = time.monotonic() + REST * (time.monotonic() - began)
        except Permanent as error:
            return replace(self._snapshot, fault=self._refusal(error))
        except WarehouseError:
            self.close()
            return replace(self._snapshot, fault=self._sentence("does not answer"))
        return Snapshot(rows, datetime.now(UTC))

    def _refusal(self, error: Permanent) -> str:
        if error.code in (UNKNOWN_DATABASE, UNKNOWN_TABLE):
            return f"ClickHouse at {self._where} has no headrace tables yet; `headrace prepare` makes them."
        return f"ClickHouse at {self._where} refused the console's query: {error}"

    def _sentence(self, what: str) -> str:
        at = self._snapshot.read_at
        shown = f"the page shows what was read at {at:%H:%M:%S} UTC" if at else "there is nothing to show yet"
        return f"ClickHouse at {self._where} {what}; {shown} and goes on by itself when it is back."
