"""A request to an upstream and its answer back, chunk by chunk as it comes, nothing of it changed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import suppress
from functools import cache, lru_cache
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from serving.engines.admission import Place
from serving.engines.engine import DeadlinePassed, EngineFailed
from serving.proxy.calls import Call
from serving.proxy.targets import Target
from serving.proxy.watch import Watch

if TYPE_CHECKING:
    from starlette.requests import Request

    from serving.proxy.posting import Answer, Poster

T = TypeVar("T")

BROKE = "the upstream broke off its answer"
STREAM = "text/event-stream"
WHOLE_BYTES = 1 << 20
"""An answer that says to be no longer is read as a whole before it is passed on."""
_OWN = ("x-headrace-", "access-control-")
"""How others begin that end here: each side's own."""
_OF_QUERIES = "!$%&'()*+,-./:;=?@[]_~"
"""What stands in a query as it is (RFC 3986, 3.4), brackets too."""
LINE_BYTES = 1 << 20
"""Of a line of a stream, as far as it waits for its end."""
_KEPT_BACK = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding"}
    | {"upgrade", "host", "content-length", "expect", "accept-encoding"}
    # The caller's rights are the gateway's to know, and the upstream's cookies no client's.
    | {"authorization", "api-key", "x-api-key", "cookie", "set-cookie", "origin", "referer"}
    | {"alt-svc", "strict-transport-security", "clear-site-data", "proxy-connection"}
    | {"forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"}
)
"""Headers that end here, in both directions: those of a connection (RFC 9110, 7.6.1), about the caller, and
about the upstream's own address."""


class UpstreamBroke(EngineFailed):
    """The upstream's answer ended in the middle."""


class Passing:
    """An answer on its way from an upstream to a client. Close it where `chunks` is not read to its end.

    ended: called once, when its last bytes have come and before they are passed on, or when it breaks off
    """

    def __init__(
        self,
        response: Answer,
        place: Place,
        watch: Watch,
        deadline: float | None,
        ended: Callable[[Watch], None],
    ) -> None:
        self._response = response
        self._place = place
        self._watch = watch
        self._deadline = deadline
        self._ended = ended
        self._over = False

    @property
    def status(self) -> int:
        """The upstream's own."""
        return self._response.status

    @property
    def headers(self) -> dict[str, str]:
        """The upstream's, but for those of its connection."""
        return passed(self._response.headers)

    @property
    def streamed(self) -> bool:
        """Whether the answer is server-sent events."""
        return self._response.content_type == STREAM

    @property
    def readable(self) -> bool:
        """Whether a client reads events in its bytes as they are."""
        return self.streamed and self._response.headers.get("content-encoding", "identity") == "identity"

    @property
    def short(self) -> bool:
        """Whether it may be read as a whole."""
        length = self._response.content_length
        return not self.streamed and length is not None and length <= WHOLE_BYTES

    async def whole(self) -> bytes:
        """All of it. Raises EngineFailed."""
        try:
            body = await _by(self._deadline, self._response.read(), UpstreamBroke, BROKE)
            self._watch.feed(body)
            self._watch.end()
            return body
        finally:
            self.close()

    async def chunks(self) -> AsyncGenerator[bytes]:
        """Its bytes as they come, of a stream in whole lines: half of one could not be followed by an error.

        Raises EngineFailed where the upstream breaks off or the deadline passes.
        """
        lines, held = self.readable, bytearray()
        try:
            content = self._response.content
            while chunk := await _by(self._deadline, content.readany(), UpstreamBroke, BROKE):
                self._watch.feed(chunk)
                if self._watch.whole:
                    self._end()
                if lines and (held or not chunk.endswith(b"\n")):
                    place = max(chunk.rfind(b"\n"), chunk.rfind(b"\r")) + 1
                    if not place and len(held) + len(chunk) > LINE_BYTES:
                        place = len(chunk)
                    held += chunk
                    chunk = bytes(held[: len(held) - len(chunk) + place]) if place else b""
                    del held[: len(chunk)]
                if chunk:
                    yield chunk
            self._watch.end()
            if held:
                yield bytes(held)
        finally:
            self.close()

    def close(self) -> None:
        """The client has it, or has left: then the upstream's work ends too."""
        self._end()
        self._response.close()

    def _end(self) -> None:
        if not self._over:
            self._over = True
            self._watch.left()
            self._place.leave()
            with suppress(Exception):  # what cannot be recorded does not fail the answer
                self._ended(self._watch)


async def sent(poster: Poster, target: Target, call: Call, request: Request, deadline: float | None) -> Answer:
    """The upstream's response, its body unread. Raises EngineFailed where there is none."""
    body = call.sent_as(target.model or call.model)
    own = {**passed(request.headers), **target.headers, "accept-encoding": "identity"}
    own.pop("content-encoding", None)  # the body is unpacked already
    own.setdefault("content-type", "application/json")

    # As it came; what no address may hold could end the line that it stands in.
    query = quote(said, safe=_OF_QUERIES) if (said := request.scope["query_string"]) else ""
    work = poster.post(target.urls[call.endpoint], query, body, own, target.timeout)
    response = await _by(deadline, work, EngineFailed, f"{target.keys.place} did not answer")
    if response.status < 200 or 300 <= response.status < 400:
        response.close()
        raise EngineFailed(
            f"the upstream answered {response.status}; the plan has to name an address that answers itself"
        )
    return response


async def _by(deadline: float | None, work: Awaitable[T], error: type[EngineFailed], what: str) -> T:
    """What the work returns. Raises DeadlinePassed, and `error` where the connection fails."""
    try:
        if deadline is None:
            return await work
        async with asyncio.timeout(deadline - time.monotonic()) as bound:
            return await work
    except _failures() as failed:
        if deadline is not None and isinstance(failed, TimeoutError) and bound.expired():
            raise DeadlinePassed("the deadline passed before the answer was complete") from None
        raise error(f"{what}: {reason(failed)}") from None


@cache
def _failures() -> tuple[type[Exception], ...]:
    import aiohttp

    return aiohttp.ClientError, TimeoutError, OSError


def passed(headers: Mapping[str, str]) -> dict[str, str]:
    """Those that go on to the other side, in lower case; repeated ones joined (RFC 9110, 5.2)."""
    connection = headers.get("connection", "")
    named = {name.strip().lower() for name in connection.split(",")} if connection else ()
    found: dict[str, str] = {}
    for name, value in headers.items():
        lower = _going_on(name)
        # Other bytes than ASCII have no encoding that both sides' libraries agree on; control characters end an answer.
        plain = value.isascii() and (value.isprintable() or value.replace("\t", " ").isprintable())
        if not lower or lower in named or not plain:
            continue
        known = found.get(lower)
        found[lower] = value if known is None or lower == "content-type" else f"{known}, {value}"
    return found


@lru_cache(maxsize=4096)
def _going_on(name: str) -> str:
    """A header's name in lower case; empty for one that ends here."""
    lower = name.lower()
    return "" if lower in _KEPT_BACK or lower.startswith(_OWN) else lower


def reason(error: Exception) -> str:
    """In words, without the question."""
    return "timed out" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
