"""Bodies of requests that failed are let go, however seldom the collector looks."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import aiohttp
from stage import gateway, plan_text

from serving.__main__ import GARBAGE

AWAY = """
[engines.up]
kind = "openai"
url = "http://127.0.0.1:9/v1"
[gateway]
upstream = "up"
"""


async def test_bodies_of_failed_requests_are_let_go(tmp_path: Path) -> None:
    """Forty of 2 MiB to an upstream that is away: their exceptions, which lead to the frames that have the bodies."""
    body = {"model": "gpt-x", "messages": [{"role": "user", "content": "x" * (2 << 20)}]}
    before = gc.get_threshold()
    async with gateway(plan_text().replace("version = 1", "version = 2") + AWAY, tmp_path) as stage:
        gc.collect()
        gc.set_threshold(*GARBAGE)
        try:
            for _ in range(40):
                answer = await stage.client.post("/v1/chat/completions", content=json.dumps(body).encode())
                assert answer.status_code == 502
            kept = sum(issubclass(type(one), aiohttp.ClientError) for one in gc.get_objects())
        finally:
            gc.set_threshold(*before)
    assert kept <= 20, kept
