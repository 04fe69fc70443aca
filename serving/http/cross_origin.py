"""Cross-origin requests of web pages: preflights, and headers that let a page read the answer.

Feedback alone may come from another origin, and only from those that some active key with the role publish lists.
Which key a page then uses is checked with the request (serving/http/callers.py).
Specification: https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.http.callers import Callers
from serving.http.refusal import Refusal
from serving.intake.page_feedback import TOKEN_HEADER

PATH = "/v1/feedback"
REMEMBERED_S = 600


class Browsers:
    """Answers preflights, and marks answers to listed origins."""

    def __init__(self, app: ASGIApp, callers: Callers) -> None:
        self._app = app
        self._callers = callers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" and scope["path"] == PATH else Headers()
        origin = headers.get("origin")
        if origin is None:
            await self._app(scope, receive, send)
            return
        listed = origin in self._callers.origins

        async def marked(message: Message) -> None:
            if listed and message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(
                    {
                        "access-control-allow-origin": origin,
                        "access-control-expose-headers": "retry-after",
                        "vary": "origin",
                    }
                )
            await send(message)

        if scope["method"] != "OPTIONS" or "access-control-request-method" not in headers:
            await self._app(scope, receive, marked)
            return
        allowed = {
            "access-control-allow-methods": "POST",
            "access-control-allow-headers": f"authorization, content-type, {TOKEN_HEADER}",
            "access-control-max-age": str(REMEMBERED_S),
        }
        refusal = Refusal(403, "no key with the role publish lists this origin")
        answer = Response(status_code=204, headers=allowed) if listed else refusal.response()
        await answer(scope, receive, marked)
