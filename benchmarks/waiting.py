"""Waiting for what other processes do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from headrace.errors import HeadraceError

T = TypeVar("T")


class Late(HeadraceError):
    """What was waited for did not come in time."""


def until(look: Callable[[], T | None], what: str, within_s: float = 120.0, every_s: float = 0.1) -> T:
    """What `look` returns once it is true. Raises Late."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(every_s)
    raise Late(f"waited {within_s:.0f} s for {what} in vain")
