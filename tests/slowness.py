"""How slow the machine is while a test bounds its work in seconds of processor time.

A core whose other thread or whose caches are shared takes more processor time for the same work: a bound in seconds
then measures the neighbours.
"""

from __future__ import annotations

import json
import time

# Processor time of `_work` on an idle core of the machines that the bounds were written on.
IDLE_S = 0.045
TEXT = json.dumps([{"id": str(n), "scores": {"a": n / 7, "b": n}, "text": "x" * 20} for n in range(20_000)])


def slowness() -> float:
    """How many times an idle core's processor time a fixed piece of work takes now; never less than 1."""
    return max(1.0, *(_work() / IDLE_S for _ in range(3)))


def _work() -> float:
    began = time.process_time()
    json.dumps(json.loads(TEXT))
    return time.process_time() - began
