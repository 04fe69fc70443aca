"""The names of instrumentations as a label of metrics: so many, and no more."""

from __future__ import annotations

MAX_NAMES, MAX_LENGTH = 100, 100
OTHERS, NAMELESS = "others", "none"


class Instrumentations:
    """The first names that are met are labels of their own; what comes after them is counted together."""

    def __init__(self, max_names: int = MAX_NAMES) -> None:
        self._names: set[str] = set()
        self._max_names = max_names

    def label(self, scope: str) -> str:
        """The label of an instrumentation's scope."""
        name = scope[:MAX_LENGTH] or NAMELESS
        if name not in self._names and len(self._names) >= self._max_names:
            return OTHERS
        self._names.add(name)
        return name
