"""`python -m benchmarks.passing.bare --port N --upstream URL`: the plainest ASGI app that passes requests on.

It has the gateway's server, aiohttp's session, and nothing else: no keys, no events, no limits.
"""

from __future__ import annotations

import argparse
from typing import Any

import aiohttp
import uvloop

from serving.__main__ import server_of


class Bare:
    """The app."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._http: aiohttp.ClientSession | None = None

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        if self._http is None:
            connector = aiohttp.TCPConnector(limit=0)
            self._http = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = {"content-type": "application/json"}
        async with self._http.post(self._upstream + scope["path"], data=body, headers=headers) as response:
            kind = response.headers["content-type"].encode()
            start = {"type": "http.response.start", "status": response.status, "headers": [(b"content-type", kind)]}
            await send(start)
            if kind.startswith(b"text/event-stream"):
                async for chunk in response.content.iter_any():
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
            else:
                await send({"type": "http.response.body", "body": await response.read()})


async def serve(port: int, upstream: str) -> None:
    """Until the process is killed."""
    await server_of(Bare(upstream), "127.0.0.1", port).serve()


def main() -> None:
    """The process."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True, help="without /v1")
    given = parser.parse_args()
    uvloop.run(serve(given.port, given.upstream))


if __name__ == "__main__":
    main()
