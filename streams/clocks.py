"""Names the emitters whose clocks are ahead of the warehouse's.

Their answers are stored and counted like any other; the watermark takes none of their times for later than the time at
which they were stored.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

AHEAD_S = 30.0
"""An emitter's clock may be so far ahead before it is named."""
SAID_EVERY_S = 60.0
MAX_NAMED = 5

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Clocks:
    """Says once a minute who is ahead.

    tell: is given a task and how many seconds the furthest of its emitters is ahead, 0 for none
    """

    tell: Callable[[str, float], object] = lambda task, seconds: None
    _ahead: dict[str, float] = field(default_factory=dict)
    _said_at: float = float("-inf")

    def see(self, task: str, ahead: Mapping[str, float]) -> None:
        """The emitters of a task's last answers that are ahead, and by how many seconds."""
        self.tell(task, max(ahead.values(), default=0.0))
        self._ahead |= ahead
        now = time.monotonic()
        if not self._ahead or now - self._said_at < SAID_EVERY_S:
            return
        furthest = sorted(self._ahead.items(), key=lambda found: -found[1])[:MAX_NAMED]
        named = ", ".join(f"{emitter or 'one without a name'} by {ahead_s:,.0f} s" for emitter, ahead_s in furthest)
        log.warning(
            "clocks of %d emitters are ahead of the warehouse's: %s; their answers are stored and move no watermark"
            " beyond the present; set those clocks (said once a minute)",
            len(self._ahead),
            named,
        )
        self._ahead.clear()
        self._said_at = now
