"""What fails though ClickHouse answers is put aside for a while, so that the rest goes on."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass, field

from headrace.errors import WarehouseError
from headrace.warehouse import Warehouse

SHORTEST_S = 10.0
# A pause is so many times as long as the failure took: what fails slowly takes a tenth of the time at most.
PAUSES = 10

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Aside:
    """Remembers what failed, by any keys, until it succeeds. Blocking."""

    warehouse: Warehouse
    _until: dict[Hashable, float] = field(default_factory=dict)

    def failed(self, key: Hashable) -> bool:
        """Whether its last attempt failed."""
        return key in self._until

    def rests(self, key: Hashable) -> bool:
        """Whether it failed and its pause is not over."""
        return time.monotonic() < self._until.get(key, float("-inf"))

    def attempt(self, keys: Collection[Hashable], what: str, step: Callable[[], object]) -> bool:
        """Whether the step succeeded. Raises WarehouseError where ClickHouse does not answer at all.

        what: it does, in words, for the log
        """
        began = time.monotonic()
        try:
            step()
        except WarehouseError as error:
            took = time.monotonic() - began
            self.warehouse.query("shared/clock")
            pause = max(SHORTEST_S, PAUSES * took)
            log.warning("%s failed after %.0f s, again in %.0f s: %s", what, took, pause, error)
            self._until |= dict.fromkeys(keys, time.monotonic() + pause)
            return False
        for key in keys:
            self._until.pop(key, None)
        return True
