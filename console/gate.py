"""Stands before the whole console, its websocket included: nothing behind it asks again who looks.

Browsers let any page open a websocket to any address and send the cookies along, and a page whose name was rebound to
127.0.0.1 is of the console's own origin. So whatever is no plain GET must come from a page of the same host, and while
nobody has to sign in the host must be this machine's own name.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console.access import Access
from headrace.settings import is_loopback

COOKIE = "headrace_console"
HEALTH, SIGN_IN = "/healthz", "/sign-in"
CLOSED = 4401
"""The code with which a websocket is closed whose session is over."""
HEADERS = {
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: browsers would send the sign-in form with the origin "null".
    "Referrer-Policy": "same-origin",
}


class Gate:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or scope["path"] == HEALTH:
            await self._app(scope, receive, send)
            return
        token = HTTPConnection(scope).cookies.get(COOKIE)
        refused = self._refused(scope, token)
        if scope["type"] == "websocket":
            if refused is not None:
                await send({"type": "websocket.close", "code": CLOSED})
            else:
                await self._websocket(scope, receive, send, token)
        else:
            await (refused or self._app)(scope, receive, _with_headers(send))

    def _refused(self, scope: Scope, token: str | None) -> Response | None:
        """What is answered instead of the console; None where the request may go on."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        origin = headers.get("origin")
        simple = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
        if (origin is not None or not simple) and (origin or "").partition("://")[2] != host:
            return PlainTextResponse("this request came from another site's page", 403)
        if self._access.open:
            if not is_loopback(_hostname(host)):
                return PlainTextResponse("without API keys the console answers to 127.0.0.1 and localhost alone", 403)
            return None
        if scope["path"] == SIGN_IN or self._admits(token):
            return None
        if scope["type"] == "http" and scope["path"] == "/":
            return RedirectResponse(SIGN_IN, 303)
        return PlainTextResponse("sign in first", 401)

    def _admits(self, token: str | None) -> bool:
        return self._access.open or self._access.session(token) is not None

    async def _websocket(self, scope: Scope, receive: Receive, send: Send, token: str | None) -> None:
        """Passes on what is said in both directions while the session lasts, and then closes."""
        closed = False

        async def heard() -> Message:
            message = await receive()
            return message if self._admits(token) else {"type": "websocket.disconnect", "code": CLOSED}

        async def say(message: Message) -> None:
            nonlocal closed
            if closed:
                return
            if not self._admits(token):
                closed, message = True, {"type": "websocket.close", "code": CLOSED}
            await send(message)

        try:
            await self._app(scope, heard, say)
        finally:
            if not closed and not self._admits(token):
                await send({"type": "websocket.close", "code": CLOSED})


def _with_headers(send: Send) -> Send:
    async def say(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return say


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
