"""Routes of which there may be thousands of requests a second, on a way around the framework.

Its router, its layers of middleware and its look-ups of headers, name by name, take a quarter of the processor time of
such a request. The framework has the same routes, for its schema and for paths with a slash too many.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from serving.http.capacity import Room, Upload
from serving.http.refusal import response_to
from serving.proxy.calls import Endpoint

PATHS = frozenset({"/v1/route", "/v1/decisions", "/v1/events", *(f"/v1/{endpoint}" for endpoint in Endpoint)})

Route = Callable[[Request], Awaitable[Response]]


class Direct:
    """The gateway's ASGI application: PATHS by themselves, everything else by the framework.

    api: the framework's application
    """

    def __init__(self, api: FastAPI, room: Room) -> None:
        self.api = api
        self._room = room
        self._routes: Mapping[str, Route] = {
            route.path: route.endpoint for route in api.routes if isinstance(route, APIRoute) and route.path in PATHS
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._routes.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if route is None:
            if scope["type"] == "http" and scope["method"] == "HEAD":
                # What GET answers, of which the server sends the head alone (RFC 9110, 9.3.2): monitors ask so.
                scope = {**scope, "method": "GET"}
            await self.api(scope, receive, send)
            return
        with Upload.begun(scope, self._room, receive) as upload:
            request = _Request(scope, upload.receive)
            try:
                response = await route(request)
            except Exception as error:
                response = response_to(request, error)
            await response(scope, upload.receive, send)


class _Request(Request):
    """Its headers are found by name."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        super().__init__(scope, receive)
        self._found = _Headers(raw=scope["headers"])

    @property
    def headers(self) -> Headers:
        """Of repeated ones a look-up gives the first; `items` has them all."""
        return self._found


class _Headers(Headers):
    """With an index. ASGI has their names in lower case."""

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        super().__init__(raw=raw)
        self._values = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(raw)}

    def __getitem__(self, key: str) -> str:
        return self._values[key.lower()]

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and key.lower() in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: str, default: str | None = None) -> str | None:  # type: ignore[override]
        return self._values.get(key.lower(), default)
