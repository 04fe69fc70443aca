"""One fault: events come, it happens, it is over, everything is counted."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.chaos.load import Load
from benchmarks.chaos.scene import Check, Scene
from benchmarks.chaos.stage import Stage
from benchmarks.waiting import Late, until

# Events before the fault, and how long they come at least; acknowledged within PATIENCE_S, rows within as much again.
BEFORE_S = 1.0
AT_LEAST_S = 5.0
PATIENCE_S = 150.0

# A round's events bear its tag as their task, or are known by their ids. What could not become a row holds the tag in
# its original bytes.
COUNTS = """
WITH {tag:String} AS tag, {given:Array(UUID)} AS given
SELECT
    (SELECT count() FROM inferences_current WHERE task = tag OR inference_id IN given)
        + (SELECT count() FROM feedback_current WHERE task = tag OR feedback_id IN given) AS rows,
    (SELECT uniqExact(inference_id) FROM inferences WHERE task = tag OR inference_id IN given)
        + (SELECT uniqExact(feedback_id) FROM feedback WHERE task = tag OR feedback_id IN given) AS events,
    (SELECT count() FROM dead_letters FINAL WHERE position(tryBase64Decode(original), tag) > 0) AS dead_letters
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a fault cost.

    events: emitted and acknowledged during it, answers of the gateway and poison included
    missing: of those, neither a row nor, where they are poison, a dead letter
    duplicated: rows that analysts see beyond one an event
    recover_s: from the end of the fault until every event of the round could be queried
    untrue: what else should have become true and did not, a sentence each
    """

    events: int
    missing: int
    duplicated: int
    recover_s: float
    untrue: tuple[str, ...] = ()


def play(fault: Callable[[Scene], None], stage: Stage, load: Load, tag: str, patience_s: float = PATIENCE_S) -> Outcome:
    """Inject one fault under load and wait until everything is accounted for, or the patience ends.

    tag: no other round's, and no part of one
    """
    scene = Scene(stage, load, tag)
    began = time.monotonic()
    load.begin(tag)
    time.sleep(BEFORE_S)
    fault(scene)
    over = time.monotonic()
    time.sleep(max(0.0, AT_LEAST_S - (over - began)))
    acknowledged = load.settled(patience_s)
    wanted = load.emitted[tag] + len(scene.given) + scene.poison
    seen: dict[str, int] = {}

    def all_there() -> bool:
        found = stage.rows(COUNTS, tag=tag, given=scene.given)
        if found:
            seen.update({name: int(str(value)) for name, value in found[0].items()})
        return bool(found) and _found(seen) >= wanted

    with contextlib.suppress(Late):
        until(all_there, "every event", patience_s, every_s=0.3)
    recovered = time.monotonic() - over
    if not acknowledged:
        raise AssertionError(f"{tag}: the load was not acknowledged {patience_s:.0f} s after the fault")
    untrue = tuple(said for check in scene.checks if (said := _untrue(check, patience_s)))
    return Outcome(wanted, wanted - _found(seen), seen["rows"] - seen["events"], recovered, untrue)


def _untrue(check: Check, patience_s: float) -> str:
    """What a check still finds untrue when the patience ends."""
    said = ""

    def true() -> bool:
        nonlocal said
        said = check()
        return not said

    with contextlib.suppress(Late):
        until(true, "a check", patience_s, every_s=1.0)
    return said


def _found(seen: dict[str, int]) -> int:
    return seen["events"] + seen["dead_letters"]
