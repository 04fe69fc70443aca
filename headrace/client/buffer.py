"""What waits to be sent, bounded in events and in bytes; any thread may add."""

from __future__ import annotations

import threading
from collections import deque

from headrace.client.packing import Entry

MAX_EVENTS = 50_000
MAX_BYTES = 32 * 1024 * 1024


class Buffer:
    """First in, first out. An entry takes its room until it is released, so what is being sent counts too."""

    def __init__(self, max_events: int = MAX_EVENTS, max_bytes: int = MAX_BYTES) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._waiting: deque[Entry] = deque()
        self._events = 0
        self._bytes = 0
        self._closed = False
        self.accepted = 0
        self.released = 0

    def add(self, entry: Entry) -> int:
        """How many wait now, with this one; 0 where there is no room for it, or the buffer is closed."""
        with self._lock:
            if self._closed or self._events >= self._max_events or self._bytes + len(entry.body) > self._max_bytes:
                return 0
            self._waiting.append(entry)
            self._events += entry.events
            self._bytes += len(entry.body)
            self.accepted += 1
            return len(self._waiting)

    def take(self, limit: int) -> list[Entry]:
        """The oldest entries that were not taken yet."""
        with self._lock:
            return [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]

    def release(self, entries: list[Entry]) -> None:
        """These are stored or given up: their room is free again."""
        with self._lock:
            self._events -= sum(entry.events for entry in entries)
            self._bytes -= sum(len(entry.body) for entry in entries)
            self.released += len(entries)

    def close(self) -> None:
        """Take nothing more in."""
        with self._lock:
            self._closed = True
