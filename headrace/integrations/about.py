"""What a block of code knows of the calls in it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any

_KNOWN: ContextVar[Mapping[str, Any] | None] = ContextVar("headrace_about", default=None)


@contextlib.contextmanager
def about(**fields: Any) -> Iterator[None]:
    """Fields of the inferences of all calls in the block, as session_id, user_ref, task, consent or extra.

    A block within a block adds its own. A call that is begun in the block may end outside it.
    """
    token = _KNOWN.set({**known(), **fields})
    try:
        yield
    finally:
        _KNOWN.reset(token)


def known() -> Mapping[str, Any]:
    """What holds here."""
    return _KNOWN.get() or {}
