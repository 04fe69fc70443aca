"""A task of kind generate at the gateway: its events are taken, and its incumbent answers."""

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
url = "{url}"
model = "prose-70b"
"""


@pytest.mark.parametrize("beside", [True, False])
async def test_a_gateway_takes_texts_and_has_the_incumbent_write_them(
    upstream: Upstream, tmp_path: Path, beside: bool
) -> None:
    """It is ready with such a task beside others or alone, lists it as a model, and stores what others answered."""
    writer = WRITER.format(url=upstream.url)
    async with gateway(plan_text(upstream.url) + writer if beside else "version = 1" + writer, tmp_path) as stage:
        await until(lambda: not stage.service.unready())
        listed = (await stage.client.get("/v1/models")).json()["data"]
        assert [model["id"] for model in listed] == (["router", "writer"] if beside else ["writer"])
        upstream.label = "Dear all"
        asked = {"model": "writer", "messages": [{"role": "user", "content": "Write a mail"}]}
        answer = await stage.client.post("/v1/chat/completions", json=asked)
        assert answer.json()["choices"][0]["message"]["content"] == "Dear all"
        assert upstream.requests[0] == {**asked, "model": "prose-70b"}
        (event,) = stage.recorded.inferences
        assert (event.task, event.version, event.output) == ("writer", "writer@0", "Dear all")
        refused = await stage.client.post("/v1/route", json={"task": "writer", "text": "Write a mail"})
        assert refused.status_code == 404 and "whose answers are texts" in refused.json()["error"]["message"]
        event = new_inference("writer", "writer@0", input="Write a mail", output="Dear all, …", tokens_out=4)
        taken = await stage.client.post("/v1/events", content=event.to_json())
        assert taken.status_code == 202, taken.text
        (stored,) = stage.recorded.sent
        assert b"Dear all, \xe2\x80\xa6" in stored.to_json()
        if beside:
            upstream.label = "it"
            assert (await stage.route())["label"] == "it"
