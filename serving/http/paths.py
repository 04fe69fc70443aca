"""Paths as clients join them from an address and a route: with a slash too many, between them or at the end."""

from __future__ import annotations

import re

from starlette.types import ASGIApp, Receive, Scope, Send

_SLASHES = re.compile("/{2,}")


class Paths:
    """Middleware: `//v1/traces` and `/v1/traces/` are `/v1/traces`. A redirect would not do: exporters follow none."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and ("//" in scope["path"] or scope["path"][-1:] == "/"):
            scope = {**scope, "path": _SLASHES.sub("/", scope["path"]).rstrip("/") or "/"}
        await self._app(scope, receive, send)
