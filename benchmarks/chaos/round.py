"""One fault: events come, it happens, it is over, everything is counted."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.chaos.faults import Scene
from benchmarks.chaos.load import Load
from benchmarks.chaos.stage import Stage
from benchmarks.waiting import Late, until

# Events before the fault, and how long they come at least; acknowledged within PATIENCE_S, rows within as much again.
BEFORE_S = 1.0
AT_LEAST_S = 5.0
PATIENCE_S = 150.0

# A round's events bear its tag as their task. What could not become a row holds the tag in its original bytes.
COUNTS = """
SELECT
    (SELECT count() FROM inferences_current WHERE task = {tag:String})
        + (SELECT count() FROM feedback_current WHERE task = {tag:String}) AS rows,
    (SELECT uniqExact(inference_id) FROM inferences WHERE task = {tag:String})
        + (SELECT uniqExact(feedback_id) FROM feedback WHERE task = {tag:String}) AS events,
    (SELECT count() FROM dead_letters FINAL
     WHERE position(tryBase64Decode(original), {tag:String}) > 0) AS dead_letters,
    (SELECT count() FROM inferences_current WHERE inference_id IN {answers:Array(UUID)}) AS answers
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a fault cost.

    events: emitted and acknowledged during it, answers of the gateway and poison included
    missing: of those, neither a row nor, where they are poison, a dead letter
    duplicated: rows that analysts see beyond one an event
    recover_s: from the end of the fault until every event of the round could be queried
    """

    events: int
    missing: int
    duplicated: int
    recover_s: float


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
    wanted = load.emitted[tag] + len(scene.answers) + scene.poison
    seen: dict[str, int] = {}

    def all_there() -> bool:
        found = stage.rows(COUNTS, tag=tag, answers=scene.answers)
        if found:
            seen.update({name: int(str(value)) for name, value in found[0].items()})
        return bool(found) and _found(seen) >= wanted

    with contextlib.suppress(Late):
        until(all_there, "every event", patience_s, every_s=0.3)
    recovered = time.monotonic() - over
    if not acknowledged:
        raise AssertionError(f"{tag}: the load was not acknowledged {patience_s:.0f} s after the fault")
    return Outcome(wanted, wanted - _found(seen), seen["rows"] - seen["events"], recovered)


def _found(seen: dict[str, int]) -> int:
    return seen["events"] + seen["dead_letters"] + seen["answers"]
