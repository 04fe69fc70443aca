"""How much of the gateway the requests in progress may hold: places and bytes, each key within its share.

Bytes follow the dynamic thresholds of Choudhury and Hahne (IEEE/ACM Transactions on Networking 6(2), 1998): a key may
hold SHARE times what is free. With SHARE = 1/2 one key alone stops at a third of the room and n keys at 1/(n + 2) each,
which leaves 2/(n + 2) free for the next one. The first bytes of each request (`Bounds.small`) are not counted, so a
small request is never refused because others are large.
"""

from __future__ import annotations

import asyncio
import gc
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headrace.access.roles import Principal
from serving.http.refusal import Refusal

KIB, MIB = 1024, 1024 * 1024
SHARE = 0.5
MAX_PIECES, PIECE_BYTES = 8192, 1024
"""A body may come in MAX_PIECES, and one more for each PIECE_BYTES: in single bytes it costs a thousand times its size
in processor time."""

LOOK_BYTES = 16 * MIB
"""Bodies of requests that are over, before a look at what they left behind."""

_UPLOAD = "headrace.upload"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What requests may hold.

    size: bytes of all bodies in progress, beyond the small part of each
    small: bytes of each body that are not counted
    requests: of one key, at once; a quarter of the connections that the gateway takes
    grace_s, bytes_per_s: a body must be there `grace_s` after its key is known, and a second later for each
        `bytes_per_s` that have come
    """

    size: int = 256 * MIB
    small: int = 64 * KIB
    requests: int = 1024
    grace_s: float = 10.0
    bytes_per_s: float = 32.0 * KIB


BOUNDS = Bounds()


@dataclass(slots=True)
class Share:
    """What one key's requests hold."""

    requests: int = 0
    size: int = 0


class Room:
    """What all requests in progress hold, by key."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self._shares: dict[tuple[str, str], Share] = {}
        self._size = self._passed = 0

    def enter(self, key: tuple[str, str]) -> Share:
        """The key's share, with one more request. Raises Refusal 429."""
        share = self._shares.setdefault(key, Share())
        if share.requests >= self.bounds.requests:
            raise Refusal(
                429,
                f"this key has {share.requests} requests in progress, as many as one may have;"
                " send the same one again when one of them is answered",
                "rate_limit_error",
                retry_after_s=1,
            )
        share.requests += 1
        return share

    def take(self, share: Share, size: int) -> None:
        """Count that many bytes more. Raises Refusal 503 where they are more than the key may hold now."""
        if size and share.size + size > SHARE * (self.bounds.size - self._size - size):
            raise Refusal(
                503,
                f"the requests of this key hold {share.size / MIB:.1f} MiB, its share of what the gateway can hold"
                " while it is this busy; send the same one again",
            )
        share.size += size
        self._size += size

    def leave(self, key: tuple[str, str], size: int) -> None:
        """One of the key's requests is over, and what it held is free."""
        share = self._shares[key]
        share.requests -= 1
        share.size -= size
        self._size -= size
        if not share.requests:
            del self._shares[key]

    def over(self, size: int) -> None:
        """A request of so many bytes is over: look for what those before left behind, once they were enough.

        One that failed leaves its exception, its frames and so its body in a cycle, of so few objects that the
        collector would come when thousands have.
        """
        self._passed += size
        if self._passed >= LOOK_BYTES:
            self._passed = 0
            # Not from here, where the exception of this one may be alive.
            asyncio.get_running_loop().call_soon(gc.collect, 0)


class Hold:
    """What one request holds. Until `claim` says whose it is, its body cannot be read."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._key = ("", "")
        self._share: Share | None = None
        self._began_s = 0.0
        self._size = self._counted = 0

    def claim(self, principal: Principal) -> None:
        """The request is this caller's. Raises Refusal 429 where it has too many in progress."""
        key = principal.tenant, principal.key_id
        self._share = self._room.enter(key)
        self._key = key
        self._began_s = asyncio.get_running_loop().time()

    def grow(self, size: int) -> None:
        """The request holds that many bytes more. Raises Refusal 503."""
        assert self._share is not None
        more = max(0, self._size + size - self._room.bounds.small) - self._counted
        self._room.take(self._share, more)
        self._size += size
        self._counted += more

    def leave(self) -> None:
        """The request is over."""
        if self._share is not None:
            self._room.leave(self._key, self._counted)
            self._room.over(self._size)


class Upload(Hold):
    """What a request over HTTP holds, and the only way to its body; left at the end of a `with`."""

    def __init__(self, room: Room, receive: Receive) -> None:
        super().__init__(room)
        self._receive = receive
        self._whole = self._late = False
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    def begun(cls, scope: Scope, room: Room, receive: Receive) -> Upload:
        """That of a request that comes in."""
        upload = scope[_UPLOAD] = cls(room, receive)
        return upload

    @classmethod
    def of(cls, scope: Scope) -> Upload:
        """That of a request that came in."""
        upload: Upload = scope[_UPLOAD]
        return upload

    def __enter__(self) -> Upload:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    async def receive(self) -> Message:
        """ASGI's receive behind the body: it says that the client has left."""
        if not self._whole:
            raise RuntimeError("a body is read by `body`, when it is known whose it is")
        return await self._receive()

    async def body(self, limit: int, keep: bool = True) -> list[bytes]:
        """The body in pieces as it comes; none of them where they are not to be kept.

        Raises Refusal: 413 for more than `limit` bytes, 408 for a body that comes too slowly, 400 for one that is cut
        off or comes in too many pieces, 503.
        """
        if self._share is None:
            raise RuntimeError("a body must not be read before it is known whose it is")
        waiting = asyncio.current_task()
        assert waiting is not None
        # One timer for the whole body: a timeout for each piece takes longer than reading a small one.
        self._timer = asyncio.get_running_loop().call_at(self._due_s, self._look, waiting)
        try:
            return await self._pieces(limit, keep)
        except asyncio.CancelledError:
            if not self._late:
                raise
            waiting.uncancel()
            raise Refusal(
                408,
                f"of the body {self._size} bytes came in {asyncio.get_running_loop().time() - self._began_s:.0f} s;"
                f" send at least {self._room.bounds.bytes_per_s / KIB:.0f} KiB/s, or smaller bodies",
            ) from None
        finally:
            self._timer.cancel()

    async def _pieces(self, limit: int, keep: bool) -> list[bytes]:
        kept: list[bytes] = []
        number = 0
        while not self._whole:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Refusal(400, "the body is cut off: the connection ended before it")
            piece: bytes = message.get("body", b"")
            number += 1
            if number > MAX_PIECES + self._size // PIECE_BYTES:
                raise Refusal(400, f"the body comes in more than {number - 1} pieces; send larger ones")
            self._whole = not message.get("more_body", False)
            if self._size + len(piece) > limit:
                raise too_large(limit)
            self.grow(len(piece))
            if keep:
                kept.append(piece)
        return kept

    @property
    def _due_s(self) -> float:
        bounds = self._room.bounds
        return self._began_s + bounds.grace_s + self._size / bounds.bytes_per_s

    def _look(self, waiting: asyncio.Task[Any]) -> None:
        """The time is up, unless what has come since it was set moved it."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._due_s:
            self._timer = loop.call_at(self._due_s, self._look, waiting)
        else:
            self._late = True
            waiting.cancel()


def too_large(limit: int) -> Refusal:
    """A body has more than `limit` bytes."""
    return Refusal(413, f"the body is larger than {limit} bytes; send it in pieces")


class Uploads:
    """ASGI middleware that gives each request its Upload."""

    def __init__(self, app: ASGIApp, room: Room) -> None:
        self._app = app
        self._room = room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with Upload.begun(scope, self._room, receive) as upload:
            await self._app(scope, upload.receive, send)
