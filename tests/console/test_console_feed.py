"""The feed: what viewers are told when ClickHouse is down, slow, or not prepared."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from console.feed import PANELS, Feed
from headrace.errors import Permanent, Transient, WarehouseError


class FakeReader:
    """Answers every query with one row, or raises `fault`, or waits for `gate`."""

    def __init__(self) -> None:
        self.fault: WarehouseError | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.queries: list[str] = []

    def query(self, name: str, **parameters: Any) -> list[dict[str, Any]]:
        self.gate.wait(10)
        if self.fault:
            raise self.fault
        self.queries.append(name)
        return [{"name": name}]

    def close(self) -> None:
        """Nothing to give back."""


async def test_one_reading_serves_all_viewers() -> None:
    """However many look at the same time, each panel is read once."""
    reader = FakeReader()
    feed = Feed(lambda: reader, "clickhouse:8123")
    found = await asyncio.gather(*(feed.latest() for _ in range(20)))
    assert sorted(reader.queries) == sorted(f"console/{panel}" for panel in PANELS)
    assert all(snapshot is found[0] for snapshot in found)


async def test_fault_keeps_what_was_read() -> None:
    """When ClickHouse goes away the last rows stay, with one sentence; when it is back the sentence goes."""
    reader = FakeReader()
    feed = Feed(lambda: reader, "clickhouse:8123", period_s=0)
    before = await feed.latest()
    reader.fault = Transient("connection refused")
    during = await feed.latest()
    assert during.rows == before.rows
    assert "ClickHouse at clickhouse:8123 does not answer; the page shows what was read at" in during.fault
    reader.fault = None
    assert (await feed.latest()).fault == ""


async def test_first_connection_fails() -> None:
    """A console that starts before ClickHouse says that there is nothing to show yet."""

    def refuse() -> FakeReader:
        raise Transient("connection refused")

    snapshot = await Feed(refuse, "clickhouse:8123").latest()
    assert snapshot.read_at is None
    assert "there is nothing to show yet" in snapshot.fault


async def test_slow_answer_is_reported_and_waited_for() -> None:
    """A query that hangs never hangs the page: it is reported, and its answer is shown once it is there."""
    reader = FakeReader()
    reader.gate.clear()
    feed = Feed(lambda: reader, "clickhouse:8123", patience_s=0.05)
    assert "has not answered" in (await feed.latest()).fault
    reader.gate.set()
    async with asyncio.timeout(10):
        while (snapshot := await feed.latest()).fault:
            pass
    assert snapshot.rows["live"] == [{"name": "console/live"}]


async def test_unprepared_database_says_what_to_do() -> None:
    """Without tables the banner names the command that makes them."""
    reader = FakeReader()
    reader.fault = Permanent("Database headrace does not exist", 81)
    assert "`headrace prepare`" in (await Feed(lambda: reader, "clickhouse:8123").latest()).fault


async def test_expensive_panel_rests() -> None:
    """A panel whose query takes long is not read again at once: the page slows down, not the warehouse."""
    reader = FakeReader()
    feed = Feed(lambda: reader, "clickhouse:8123", period_s=0, patience_s=10)
    reader.gate.clear()
    threading.Timer(0.3, reader.gate.set).start()
    await feed.latest()
    slow = reader.queries[0]
    reader.queries.clear()
    await feed.latest()
    assert slow not in reader.queries
