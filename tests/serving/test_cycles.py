"""A request leaves nothing to the collector of garbage, whose look at what thousands left takes .25 s."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai_stub import Stub, in_front
from stage import Upstream

CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "My VPN is down"}]}
ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "passed": ("/v1/chat/completions", CHAT | {"model": "gpt-x"}),
    "streamed": ("/v1/chat/completions", CHAT | {"model": "gpt-x", "stream": True}),
    "a task": ("/v1/chat/completions", CHAT | {"model": "router"}),
    "a route": ("/v1/route", {"task": "router", "text": "My VPN is down"}),
    "feedback": ("/v1/events", {"inferences": [], "feedback": []}),
    "refused": ("/v1/chat/completions", {"messages": []}),
}


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
async def test_no_request_is_in_a_cycle(asked: tuple[str, dict[str, Any]], upstream: Upstream, tmp_path: Path) -> None:
    """After ten of them no function, frame or object of ours waits for the collector."""
    path, body = asked
    async with (
        Stub().running() as stub,
        in_front(stub, upstream.url, tmp_path) as (_, address),
        httpx.AsyncClient(base_url=address, trust_env=False, timeout=20) as client,
    ):
        await client.post(path, json=body)
        gc.collect()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            for _ in range(10):
                await client.post(path, json=body)
            gc.collect()
            left = [one for one in gc.garbage if _module(one).startswith(("serving.", "headrace."))]
            named = [getattr(one, "__qualname__", type(one).__qualname__) for one in left]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
    assert named == []


def _module(one: object) -> str:
    return str(getattr(one, "__module__", "") or "")
