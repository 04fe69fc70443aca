"""Errors in the client's background that are none of the transport's: they are said, and events go out all the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_spooled_client import ANSWER, client_of, last

from headrace.client import sender
from headrace.client.counts import Counts
from headrace.client.shipping import Shipment, Shipper
from headrace.spool import KINDS, Frame, Journal


async def test_an_unexpected_error_holds_up_no_other_event(
    transport: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What a dead process left and this one cannot understand waits; the log says why, and this one's events go out."""
    monkeypatch.setattr(sender, "COUNT_EVERY_S", 0.01)
    left = Journal.create(tmp_path, "dead.1")
    left.append([Frame(KINDS.index("feedback"), 0, 1, 1, b'{"source": "of a later version"}')])
    left.close()
    async with client_of(transport, tmp_path) as client:
        client.inference(**ANSWER)
        assert await client.flush()
        client.inference(**ANSWER)
        assert await client.flush()
        assert "sending was held up, it goes on: ValueError" in caplog.text
        assert client.spooled.inherited == 0
    assert len(transport.events) == 2 and left.folder.exists()


async def test_events_of_a_round_that_failed_are_sent_by_the_next(
    transport: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An error of this process's own round loses none of what the spool has, and counts none of it as sent."""
    monkeypatch.setattr(sender, "AGAIN_S", 0.01)
    failing = [OSError("not of the transport"), RuntimeError("nor this")]
    ship = Shipper.ship

    async def fails(shipper: Shipper, shipment: Shipment, counts: Counts | None) -> None:
        if failing:
            raise failing.pop()
        await ship(shipper, shipment, counts)

    monkeypatch.setattr(Shipper, "ship", fails)
    async with client_of(transport, tmp_path) as client:
        for number in range(5):
            client.inference(**ANSWER, session_id="s", label=str(number))
        assert await client.flush()
    assert [event["label"] for event in transport.events] == list("01234")
    assert last(transport.counters, client.emitter) == {"inferences": (5, 5, 0)}
    assert not failing and "RuntimeError('nor this')" in caplog.text
