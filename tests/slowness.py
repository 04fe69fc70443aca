"""How slow the machine is while a test bounds its work in seconds.

A core whose other thread or whose caches are shared takes more processor time for the same work, and by the clock a
process waits for a core as well: a bound in seconds then measures the neighbours.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

# Processor time of `_work` on an idle core of the machines that the bounds were written on.
IDLE_S = 0.045
TEXT = json.dumps([{"id": str(n), "scores": {"a": n / 7, "b": n}, "text": "x" * 20} for n in range(20_000)])


def slowness(clock: Callable[[], float] = time.process_time) -> float:
    """How many times as long as on an idle core a fixed piece of work takes now, by that clock; never less than 1."""
    return max(1.0, *(_work(clock) / IDLE_S for _ in range(3)))


def _work(clock: Callable[[], float]) -> float:
    began = clock()
    json.dumps(json.loads(TEXT))
    return clock() - began
