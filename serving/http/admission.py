"""Who sends a request, and the only way to its body: no route reads one before it knows whose it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel
from starlette.requests import Request

from headrace.access.roles import Principal, Role
from serving.http.bodies import EVENTS, Sizes
from serving.http.capacity import Hold, Upload, too_large
from serving.http.encodings import encoding_of, unpacked
from serving.http.large_work import Turns
from serving.http.refusal import Refusal, parsed

if TYPE_CHECKING:
    from serving.http.dependencies import Parts

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")

INLINE_BYTES = 64 * 1024
"""A larger body is unzipped and read in the key's turn; so is a zipped one that is larger than INLINE_UNZIPPED."""
INLINE_UNZIPPED = 512 * 1024
LARGE_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request that was admitted."""

    principal: Principal
    _request: Request
    _upload: Upload
    _turns: Turns

    async def body(self, sizes: Sizes = EVENTS) -> bytes:
        """The body without its encoding.

        Raises Refusal: 413 without reading what is too much, 415 for an unknown encoding, 400 for what it does not
        undo; 408 and 503 as `Upload.body` does.
        """
        encoding = encoding_of(self._request.headers)
        pieces = await self._sent(sizes)
        size = sum(map(len, pieces))
        if encoding == "identity":
            # On a thread: copying 64 MiB takes as long as fifty questions.
            return await asyncio.to_thread(b"".join, pieces) if size > LARGE_BYTES else b"".join(pieces)
        return await self._unpacked(pieces, size, encoding, sizes.unpacked)

    async def parsed(self, model: type[M]) -> M:
        """The body as that model. Raises Refusal as `body` does, and 400 that names the field."""
        return await self.reading(await self.body(), lambda body: parsed(model, body))

    async def reading(self, body: bytes, read: Callable[[bytes], T]) -> T:
        """What `read` makes of the body; a large one is read in the key's turn."""
        return await self._turns.run(self.principal, read, body) if len(body) > INLINE_BYTES else read(body)

    async def discard(self, sizes: Sizes) -> None:
        """Read the body within the same bounds and keep none of it. Raises Refusal as `body` does."""
        encoding_of(self._request.headers)
        await self._sent(sizes, keep=False)

    async def _sent(self, sizes: Sizes, keep: bool = True) -> list[bytes]:
        declared = self._request.headers.get("content-length", "0")
        if not declared.isdigit() or int(declared) > sizes.sent:
            raise too_large(sizes.sent)
        return await self._upload.body(sizes.sent, keep)

    async def _unpacked(self, pieces: list[bytes], size: int, encoding: str, limit: int) -> bytes:
        found = None
        if size <= INLINE_BYTES:
            try:
                found = unpacked(b"".join(pieces), encoding, INLINE_UNZIPPED)
            except Refusal as refusal:
                if refusal.status != 413:
                    raise
        if found is None:
            found = await self._turns.run(self.principal, lambda: unpacked(b"".join(pieces), encoding, limit))
        self._upload.grow(len(found))
        return found


def admit(principal: Principal, hold: Hold, parts: Parts, events: int = 0) -> None:
    """Let a request in, whose body may be read from here on; `events` as for `admitted`.

    Raises Refusal 429 where the caller sent or has in progress too much.
    """
    parts.limits.admit(principal)
    parts.limits.charge(principal, events)
    hold.claim(principal)


def admitted(request: Request, parts: Parts, *roles: Role, events: int = 0) -> Caller:
    """The caller, who has one of the roles and whose body may be read now.

    events: how many the request is known to be; those that its body turns out to hold are charged by `Intake`
    Raises Refusal as `Callers.permitted` does, and 429 where it sent or has in progress too much; Forbidden.
    """
    principal = parts.callers.permitted(request, *roles)
    upload = Upload.of(request.scope)
    admit(principal, upload, parts, events)
    return Caller(principal, request, upload, parts.turns)
