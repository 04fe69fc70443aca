"""A task of kind generate at the gateway: its events are taken, and questions to it are refused in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from stage import Upstream, gateway, plan_text, until

from headrace.contract.events import new_inference

WRITER = """
[tasks.writer]
kind = "generate"
mode = "observe"
[tasks.writer.incumbent]
version = "writer@0"
url = "http://127.0.0.1:1/v1"
model = "prose-70b"
"""


@pytest.mark.parametrize("beside", [True, False])
async def test_a_gateway_takes_texts_and_answers_none(upstream: Upstream, tmp_path: Path, beside: bool) -> None:
    """It is ready with such a task beside others or alone, lists it as no model, and stores what others answered."""
    text = plan_text(upstream.url) + WRITER if beside else "version = 1" + WRITER
    async with gateway(text, tmp_path) as stage:
        await until(lambda: not stage.service.unready())
        listed = (await stage.client.get("/v1/models")).json()["data"]
        assert [model["id"] for model in listed] == (["router"] if beside else [])
        asked = {"model": "writer", "messages": [{"role": "user", "content": "Write a mail"}]}
        refused = await stage.client.post("/v1/chat/completions", json=asked)
        assert refused.status_code == 404
        assert "'writer' is of kind generate, which no gateway answers yet" in refused.json()["error"]["message"]
        event = new_inference("writer", "writer@0", input="Write a mail", output="Dear all, …", tokens_out=4)
        taken = await stage.client.post("/v1/events", content=event.to_json())
        assert taken.status_code == 202, taken.text
        (stored,) = stage.recorded.sent
        assert b"Dear all, \xe2\x80\xa6" in stored.to_json()
        if beside:
            assert (await stage.route())["label"] == "it"
