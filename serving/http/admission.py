"""Who sends a request, and the only way to its body: no route reads one before it knows whose it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel
from starlette.requests import Request

from headrace.access.roles import Principal, Role
from serving.http.bodies import MAX_UNZIPPED_BYTES, encoding_of, pieces_of, unzipped
from serving.http.capacity import Hold
from serving.http.large_work import Turns
from serving.http.refusal import Refusal, parsed

if TYPE_CHECKING:
    from serving.http.dependencies import Parts

M = TypeVar("M", bound=BaseModel)

INLINE_BYTES = 64 * 1024
"""A larger body is unzipped and read in the key's turn; so is a zipped one that is larger than INLINE_UNZIPPED."""
INLINE_UNZIPPED = 512 * 1024


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request that was admitted."""

    principal: Principal
    _request: Request
    _hold: Hold
    _turns: Turns

    async def body(self) -> bytes:
        """The body, unzipped.

        Raises Refusal: 413 without reading what is too much, 415 for another encoding than gzip, 400 for what is not
        gzip; 408 and 503 as `Hold.receive` does.
        """
        zipped = encoding_of(self._request) == "gzip"
        body = bytearray()
        async for piece in pieces_of(self._request):
            body += piece
        return await self._unzipped(bytes(body)) if zipped else bytes(body)

    async def parsed(self, model: type[M]) -> M:
        """The body as that model. Raises Refusal as `body` does, and 400 that names the field."""
        body = await self.body()
        if len(body) > INLINE_BYTES:
            return await self._turns.run(self.principal, parsed, model, body)
        return parsed(model, body)

    async def discard(self) -> None:
        """Read the body within the same bounds and keep none of it. Raises Refusal as `body` does."""
        encoding_of(self._request)
        async for _ in pieces_of(self._request):
            pass

    async def _unzipped(self, body: bytes) -> bytes:
        found = None
        if len(body) <= INLINE_BYTES:
            try:
                found = unzipped(body, INLINE_UNZIPPED)
            except Refusal as refusal:
                if refusal.status != 413:
                    raise
        if found is None:
            found = await self._turns.run(self.principal, unzipped, body, MAX_UNZIPPED_BYTES)
        self._hold.grow(len(found))
        return found


def admitted(request: Request, parts: Parts, *roles: Role, events: int = 0) -> Caller:
    """The caller, who has one of the roles and whose body may be read now.

    events: how many the request is known to be; those that its body turns out to hold are charged by `Intake`
    Raises Refusal as `Callers.permitted` does, and 429 where it sent or has in progress too much; Forbidden.
    """
    principal = parts.callers.permitted(request, *roles)
    parts.limits.admit(principal)
    parts.limits.charge(principal, events)
    hold = Hold.of(request.scope)
    hold.claim(principal)
    return Caller(principal, request, hold, parts.turns)
