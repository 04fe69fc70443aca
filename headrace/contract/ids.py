"""Event ids: UUID version 7 (RFC 9562), whose first 48 bits are milliseconds since 1970, so id order is time order."""

from __future__ import annotations

import hashlib
import os
import struct
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
"""Between these lie the times of events, and those in their ids."""

FITS = timedelta(days=1)
"""An answer whose id is of a time further from its `occurred_at` is in no window: windows find answers by their ids."""

# The bits that say version and variant, and what they are.
VERSION_7_MASK = 0xF << 76 | 0b11 << 62
VERSION_7 = 0x7 << 76 | 0b10 << 62
_RANDOM_BITS = (0xFFF << 64) | ((1 << 62) - 1)
_RANDOM_BYTES = 10
_random: Iterator[tuple[bytes]] = iter(())
"""Read some hundreds at once: a system call for each id gives the interpreter's lock away."""


def uuid7(at: datetime | None = None) -> UUID:
    """A new random id that carries `at` (default: now)."""
    now = time.time_ns() // 1_000_000 if at is None else millis(at)
    return build(now, _random_number())


def derived(at: datetime, *parts: object) -> UUID:
    """The same parts give the same id: for a decision made twice, or an event known by other names (a span, a row)."""
    return derived_at(millis(at), *parts)


def derived_at(at: int, *parts: object) -> UUID:
    """See derived; at: milliseconds since 1970"""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return build(at, int.from_bytes(digest[:10]))


def time_of(event_id: UUID) -> datetime:
    """The time that a version 7 id carries, UTC."""
    return EPOCH + timedelta(milliseconds=event_id.int >> 80)


def fits(event_id: UUID, occurred_at: datetime) -> bool:
    """Whether an answer of that time and id is counted in a window; see FITS."""
    return abs(time_of(event_id) - occurred_at) <= FITS


def uniform(event_id: UUID, salt: str) -> float:
    """A number in [0, 1) that depends on the id and the salt alone: draws that any process can repeat."""
    digest = hashlib.sha256(salt.encode() + event_id.bytes).digest()
    return int.from_bytes(digest[:7]) / (1 << 56)


def millis(at: datetime) -> int:
    """Whole milliseconds since 1970."""
    return (at - EPOCH) // timedelta(milliseconds=1)


def micros(at: datetime) -> int:
    """Whole microseconds since 1970."""
    return (at - EPOCH) // timedelta(microseconds=1)


def build(at: int, random: int) -> UUID:
    """The id of that time, milliseconds since 1970, with 74 of these random bits."""
    return UUID(int=((at & ((1 << 48) - 1)) << 80) | VERSION_7 | (random & _RANDOM_BITS))


def _random_number() -> int:
    global _random
    while (found := next(_random, None)) is None:
        # Two threads may both come here, and each brings numbers of its own.
        _random = struct.iter_unpack(f"{_RANDOM_BYTES}s", os.urandom(512 * _RANDOM_BYTES))
    return int.from_bytes(found[0])


def _forget_random() -> None:
    """A child would make its parent's ids."""
    global _random
    _random = iter(())


os.register_at_fork(after_in_child=_forget_random)
