"""How much the bodies of all requests in progress may hold together."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.refusal import Refusal

MAX_BYTES = 256 * 1024 * 1024


class InHand:
    """Refuses with 503 what would be too much: each body is bounded, but a slow Kafka may keep very many waiting."""

    def __init__(self, app: ASGIApp, max_bytes: int = MAX_BYTES) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        held = 0

        async def counted() -> Message:
            nonlocal held
            message = await receive()
            size = len(message.get("body", b""))
            held += size
            self._held += size
            if self._held > self._max_bytes:
                raise Refusal(503, "the gateway holds as many requests as it can; send the same one again")
            return message

        try:
            await self._app(scope, counted, send)
        finally:
            self._held -= held
