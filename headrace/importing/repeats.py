"""Rows that have the id and the time of another: of these the last one counts, and a person is told how many."""

from __future__ import annotations

from headrace.contract.events import Event

MAX_IDS = 500_000
"""Ids that are remembered, at about 120 bytes each; what follows is not looked at."""


class Repeats:
    """Counts rows that replace an earlier one which says something else.

    named: whether a column gives the ids; an id of the content is that of one content alone
    """

    def __init__(self, named: bool) -> None:
        self._said: dict[int, int] | None = {} if named else None
        self.count = 0

    def add(self, event: Event) -> None:
        """The next row's event."""
        if self._said is None:
            return
        name, said = hash(event.event_id), hash(event.to_json())
        before = self._said.get(name)
        if before is not None and before != said:
            self.count += 1
        if before is not None or len(self._said) < MAX_IDS:
            self._said[name] = said
