"""Calls a model by LiteLLM with headrace's callback, and prints what was recorded, a line an inference."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import litellm

from headrace.integrations.litellm import Callback, about
from headrace.testing import RecordingClient

TOOLS = [{"type": "function", "function": {"name": "open_ticket", "parameters": {"type": "object", "properties": {}}}}]
MESSAGES = [{"role": "user", "content": "My VPN is down"}]


def main(url: str) -> None:
    """Calls of each kind, one after the other; each waits until it is recorded."""
    recorder = RecordingClient()
    litellm.callbacks = [Callback(recorder, task="helpdesk")]
    asked: dict[str, Any] = {"model": "openai/small-1b", "messages": MESSAGES, "api_base": url, "api_key": "k"}

    def recorded(count: int) -> None:
        deadline = time.monotonic() + 20
        while len(recorder.inferences) < count and time.monotonic() < deadline:
            time.sleep(0.01)

    with about(session_id="conversation-7"):
        litellm.completion(**asked, user="u-1")
    recorded(1)
    assert len(list(litellm.completion(**asked, stream=True, metadata={"session_id": "s-2"}))) > 1
    recorded(2)
    litellm.completion(**asked, tools=TOOLS)
    recorded(3)

    async def later() -> None:
        await litellm.acompletion(**asked)
        stream = await litellm.acompletion(**asked, stream=True)
        assert len([piece async for piece in stream]) > 1
        # LiteLLM logs in tasks of the loop.
        async with asyncio.timeout(20):
            while len(recorder.inferences) < 5:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    asyncio.run(later())
    try:
        litellm.completion(**(asked | {"model": "openai/broken"}))
    except litellm.BadRequestError:
        print("refused", flush=True)
    for event in recorder.inferences:
        print(event.to_json().decode())


if __name__ == "__main__":
    main(sys.argv[1])
