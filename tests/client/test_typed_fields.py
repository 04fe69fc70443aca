"""What a program hands to the SDK never raises for what its users typed."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from headrace.client import AsyncClient, Client
from headrace.client.options import Options
from headrace.client.packing import MAX_EVENT_BYTES, entry
from headrace.contract.events import Feedback, Inference
from headrace.errors import EventError

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
OPTIONS = Options(kafka="127.0.0.1:9092", tenant="acme")


class Team(Enum):
    IT = "it"
    THIRD = 3


class Rude:
    def __str__(self) -> str:
        raise RuntimeError("no")


def deep(levels: int) -> dict[str, Any]:
    inner: dict[str, Any] = {}
    for _ in range(levels):
        inner = {"a": inner}
    return inner


@pytest.mark.parametrize(
    ("fields", "stored"),
    [({"input": b"caf\xe9"}, "caf\ufffd"), ({"label": np.int64(3)}, "3"), ({"label": Team.IT}, "it"),
     ({"label": Team.THIRD}, "3"), ({"user_ref": UUID(int=7)}, str(UUID(int=7))), ({"session_id": AT}, AT.isoformat()),
     ({"cost": Decimal("0.5")}, 0.5), ({"latency_ms": np.float32(0.5)}, 0.5), ({"tokens_in": np.int32(4)}, 4),
     ({"scores": {Team.IT: np.float32(0.5), 3: Decimal("0.25")}}, {"it": 0.5, "3": 0.25}),
     ({"consent": np.bool_(False)}, False), ({"input": None}, ""),
     ({"extra": {"a": {1}, "b": np.arange(2), "c": date(2026, 3, 2), "d": Team.IT}},
      {"a": [1], "b": [0, 1], "c": "2026-03-02", "d": "it"}),
     ({"scores": np.array([0.9, 0.1])}, {}), ({"tenant": None}, "acme"),
     ({"extra": {"a": Rude(), "b": 1}}, {"b": 1, "left_out": {"extra.a": "RuntimeError"}}),
     ({"extra": {"a": deep(5000)}}, {"left_out": {"extra.a": "it is nested more than 200 levels deep"}}),
     ({"occurred_at": np.datetime64("2026-03-02T12:00:00", "ns")}, AT)],
)  # fmt: skip
def test_the_sdk_takes_what_a_program_has(fields: dict[str, Any], stored: Any) -> None:
    """Values of numpy, of enumerations, bytes and objects never raise into an agent, and can be sent."""
    event = OPTIONS.inference(None, {"task": "router", "version": "router@0", **fields})
    assert getattr(event, next(iter(fields))) == stored
    assert Inference.strict(entry(event, "desk").body)


def test_an_extra_that_is_too_large_is_cut_by_the_sdk() -> None:
    """The small values stay, and the mark says what the others were."""
    event = OPTIONS.inference(None, {"task": "t", "version": "v@1", "extra": {"blob": "x" * 2_000_000, "small": 1}})
    assert event.extra["small"] == 1 and event.extra["truncated"]["extra.blob"]["characters"] == 2_000_002
    assert entry(event, "desk")


TYPED: list[dict[str, Any]] = [
    {"comment": "\ud83d" * 3}, {"comment": "x" * 5_000_000}, {"comment": b"\xff\x00"}, {"label": 7, "value": 0},
    {"value": False}, {"session_id": "s" * 10_000}, {"extra": {"said": object(), "at": AT, "big": "x" * 3_000_000}},
    {"comment": None, "rater": UUID(int=1)}, {"comment": "a\x00"}, {"value": np.int64(1), "rater": float("nan")},
]  # fmt: skip


@pytest.mark.parametrize("spooled", [False, True])
async def test_both_clients_send_what_users_typed(transport: Any, tmp_path: Path, spooled: bool) -> None:
    """With a spool or without, every event arrives, and none raises into the agent."""
    options = {"url": "http://127.0.0.1:9", "spool": tmp_path if spooled else ""}
    with Client(transport=transport, **options) as client:
        answer = client.inference(task="router", version="router@0", input="\ud800" * 70_000)
        for typed in TYPED:
            client.feedback(inference_id=answer, source="user", signal="thumb", **{"value": 1} | typed)
        assert await asyncio.to_thread(client.flush, 20)
        with pytest.raises(EventError, match=r"Feedback.mood: there is no such field"):
            client.feedback(inference_id=answer, source="user", signal="comment", mood="\ud800")
    async with AsyncClient(transport=transport, **options) as waiting:
        for typed in TYPED:
            waiting.feedback(inference_id=answer, source="user", signal="thumb", **{"value": 1} | typed)
        assert await waiting.flush(20)
    stored = [event for event in transport.events if "feedback_id" in event]
    assert len(stored) == 2 * len(TYPED) and all(Feedback.strict(event) for event in stored)


def test_a_text_of_five_megabytes_passes_the_sdk() -> None:
    """It is cut before it is sent, so that neither Kafka's bound nor the collector's is met."""
    event = OPTIONS.inference(
        None, {"task": "t", "version": "v@1", "input": "\x01" * 5_000_000, "output": "é" * 5_000_000}
    )
    assert len(entry(event, "desk").body) < MAX_EVENT_BYTES
