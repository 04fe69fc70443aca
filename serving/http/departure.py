"""Clients that leave before their answer: nothing is computed for them any more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from starlette.types import Receive

from serving.http.refusal import Refusal

T = TypeVar("T")

PATIENCE_S = 0.02
"""Answers that come sooner are not watched, which costs a task each."""
CLIENT_LEFT = 499
"""As nginx logs it; nobody reads the answer."""


class ClientLeft(Refusal):
    """Nobody waits for the answer."""

    def __init__(self) -> None:
        super().__init__(CLIENT_LEFT, "the client left before its answer")


async def until_left(receive: Receive, work: Awaitable[T]) -> T:
    """What the work returns or raises; it is cancelled when the client leaves. Raises ClientLeft then.

    receive: of a request whose body has been read
    """
    waiting = asyncio.current_task()
    assert waiting is not None
    left = False
    watching: asyncio.Task[None] | None = None

    async def watch() -> None:
        nonlocal left
        while (await receive())["type"] != "http.disconnect":
            pass
        left = True
        waiting.cancel()

    def begin() -> None:
        nonlocal watching
        watching = asyncio.create_task(watch())

    timer = asyncio.get_running_loop().call_later(PATIENCE_S, begin)
    try:
        return await work
    except asyncio.CancelledError:
        if not left:
            raise
        waiting.uncancel()
        raise ClientLeft from None
    finally:
        timer.cancel()
        if watching is not None:
            watching.cancel()
