"""Named sessions (`session_id`): a client's settings and temporary tables between its requests."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from headrace.embedded.clickhouse.engine import Engine, Session
from headrace.embedded.clickhouse.errors import refuse

# A client that opens a session and never comes back keeps it this long at most.
_MOST = 500


@dataclass(slots=True)
class _Kept:
    session: Session
    expires: float
    busy: threading.Lock = field(default_factory=threading.Lock)


class Sessions:
    """Sessions by user and id; each serves one request at a time, as ClickHouse's do."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._kept: dict[tuple[str, str], _Kept] = {}
        self._lock = threading.Lock()

    @contextmanager
    def named(self, user: str, session_id: str, timeout_s: float, check: bool) -> Iterator[Session]:
        """The session of this id, new or kept. Raises Refused: 372 not found, 373 in use, 202 too many."""
        kept = self._take((user, session_id), check)
        try:
            yield kept.session
        finally:
            kept.expires = time.monotonic() + timeout_s
            kept.busy.release()

    @contextmanager
    def fresh(self) -> Iterator[Session]:
        """A session for one request."""
        session = self._engine.session()
        try:
            yield session
        finally:
            session.close()

    def close(self) -> None:
        with self._lock:
            for kept in self._kept.values():
                kept.session.close()
            self._kept.clear()

    def _take(self, key: tuple[str, str], check: bool) -> _Kept:
        with self._lock:
            self._expire()
            kept = self._kept.get(key)
            if kept is None:
                if check:
                    raise refuse(372, "SESSION_NOT_FOUND", "Session not found")
                if len(self._kept) >= _MOST:
                    raise refuse(202, "TOO_MANY_SIMULTANEOUS_QUERIES", f"More than {_MOST} sessions are open")
                kept = self._kept[key] = _Kept(self._engine.session(), 0.0)
            if not kept.busy.acquire(blocking=False):
                raise refuse(373, "SESSION_IS_LOCKED", f"Session {key[1]} is locked by a concurrent client")
            return kept

    def _expire(self) -> None:
        now = time.monotonic()
        for key, kept in list(self._kept.items()):
            if kept.expires < now and kept.busy.acquire(blocking=False):
                kept.session.close()
                del self._kept[key]
