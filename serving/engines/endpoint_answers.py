"""What an endpoint's response is: a body within bounds, or a failure, and whether trying again may help."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from serving.engines.engine import EngineFailed
from serving.engines.server_sent import TooLarge

if TYPE_CHECKING:
    import aiohttp

MAX_ANSWER_BYTES = 16 << 20
MAX_WAIT_S = 3600
RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})


class Passing(EngineFailed):
    """Trying again at once may help."""


def failure(place: str, response: aiohttp.ClientResponse) -> EngineFailed:
    """What a status other than 200 means. A limit that says when it ends is not tried again before."""
    said = response.headers.get("retry-after", "")
    wait_s = min(int(said), MAX_WAIT_S) if said.isascii() and said.isdigit() else 0
    limited = response.status == HTTPStatus.TOO_MANY_REQUESTS and wait_s
    kind = Passing if response.status in RETRIED and not limited else EngineFailed
    return kind(f"{place} answered {response.status}", wait_s)


async def content_of(response: aiohttp.ClientResponse) -> bytes:
    """The body. Raises TooLarge."""
    plain = "content-encoding" not in response.headers
    if plain and response.content_length is not None and response.content_length <= MAX_ANSWER_BYTES:
        return await response.read()
    found = bytearray()
    async for chunk in response.content.iter_any():
        found += chunk
        if len(found) > MAX_ANSWER_BYTES:
            raise TooLarge(f"more than {MAX_ANSWER_BYTES >> 20} MiB")
    return bytes(found)


def reason_of(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    return str(error) or type(error).__name__
