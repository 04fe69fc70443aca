"""Draws answers for review beside the base audit, a window at a time, where they sharpen the accuracy most.

Whether an answer is drawn hangs on a hash of its id and its stratum's chance, and that on what the window's counts are:
drawn again from the same counts, by another worker too, it comes to the same rows. What the base audit drew in the
window gets a row as well: that it is drawn at all is as likely as for its neighbours, and the estimate has to know it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from headrace.access.siphash import key_of
from headrace.contract import ids
from headrace.plan import Task
from headrace.warehouse import Warehouse, clickhouse_time, query_text
from streams.sampling import Layer, chances
from streams.spans import MILLISECOND, start_of

DAY_S = 86_400.0


def draw_key(secret: bytes, *purpose: object) -> dict[str, int]:
    """A statement's parameters key_0 and key_1, derived for one purpose.

    A server may log parameters, so each key serves as few draws as possible.
    """
    key_0, key_1 = key_of("\x00".join(("headrace draw 1", *map(str, purpose))), secret)
    return {"key_0": key_0, "key_1": key_1}


@dataclass(slots=True)
class Draws:
    """The targeted draws of one task. Blocking.

    secret: each window's key is derived from it
    """

    warehouse: Warehouse
    name: str
    task: Task
    secret: bytes
    _drawn: datetime | None = None

    def draw(self, watermark: datetime) -> None:
        """Draw from the newest window that closed a window ago: by then most users have said what they will.

        Windows that were passed over, as while nothing ran, are left to the base audit. Where the watermark went back,
        because the warehouse's clock was ahead, draws go on from there. Raises WarehouseError.
        """
        reviews = self.task.audit.reviews_per_day * self.task.windows.size_s / DAY_S
        size = timedelta(seconds=self.task.windows.size_s)
        end = start_of(watermark, size) - size
        if not reviews or end <= self._reached() <= watermark:
            return
        span = {
            "task": self.name,
            "size_ms": size // MILLISECOND,
            "window_from": ids.millis(end - size),
            "window_to": ids.millis(end),
        }
        rows = self.warehouse.query(
            "audit/draws_layers", **span, span_ms=self.task.windows.rolling * size // MILLISECOND
        )
        layers = [Layer(*(int(row[name]) for name in ("answers", "drawn", "labelled", "errors"))) for row in rows]
        self.warehouse.command(
            query_text("audit/draws_write"),
            **span,
            **draw_key(self.secret, "targeted", self.name, span["window_to"]),
            layers=[row["layer"] for row in rows],
            chances=chances(layers, reviews),
            reason=f"{reviews:g} reviews for the window of {end - size:%Y-%m-%d %H:%M:%S}, where they tell most",
        )
        self.warehouse.command(query_text("shared/cursor_write"), name=self._cursor, reached=clickhouse_time(end))
        self._drawn = end

    @property
    def _cursor(self) -> str:
        return f"draws/{self.name}"

    def _reached(self) -> datetime:
        """The end of the last window that was drawn from."""
        if self._drawn is None:
            self._drawn = max(ids.EPOCH, self.warehouse.query("audit/draws_cursor", cursor=self._cursor)[0]["reached"])
        return self._drawn
