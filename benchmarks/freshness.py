"""How long after feedback is emitted the rolling figure has changed: `make bench-freshness`.

The real path: events into Kafka, the worker with its monitor, ClickHouse. Answers and feedback are emitted at a steady
rate; every label counts itself. A label is in the figure when a reader of `accuracy_by` sees that many labels. The
reader asks every 50 ms, which is part of what is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import bisect
import time
from pathlib import Path
from typing import Any

from benchmarks.ingesting.events import TASK, VERSION
from benchmarks.ingesting.stage import Stage, raised
from benchmarks.table import keep, machine, tell
from headrace.contract.events import new_feedback, new_inference, pack
from headrace.contract.topics import FEEDBACK, INFERENCES, LABELS
from headrace.plan import Windows

TICK_S = 0.1
LABELLED, THUMBS = 2, 3  # in a tick
CACHE = Path("var/cache")
PLAN = f"""
version = 1
[tasks.{TASK}]
labels = ["hr", "it", "finance"]
[tasks.{TASK}.incumbent]
version = "{VERSION}"
url = "http://127.0.0.1:9/v1"
model = "big"
[tasks.{TASK}.audit]
rate = 1.0
[tasks.{TASK}.candidates.probe]
method = "probe"
"""
READ = f"SELECT max(labelled) AS labels FROM accuracy_by WHERE task = '{TASK}' AND by = 'all' AND NOT closed"


async def emit(stage: Stage, rate: int, seconds: float, emitted: list[float]) -> None:
    """Emit `rate` events a second; `emitted` gets the time of each label."""
    answers = round(rate * TICK_S) - LABELLED - THUMBS
    async with stage.producer() as producer:
        began = time.monotonic()
        for tick in range(round(seconds / TICK_S)):
            await asyncio.sleep(max(0.0, began + tick * TICK_S - time.monotonic()))
            shown = [new_inference(TASK, VERSION, label="hr") for _ in range(answers)]
            said = [new_feedback(one.inference_id, "audit", "label", label="hr", task=TASK) for one in shown[:LABELLED]]
            thumbs = [new_feedback(one.inference_id, "user", "thumb", value=1, task=TASK) for one in shown[-THUMBS:]]
            await producer.send(INFERENCES.name, pack(shown))
            emitted += [time.monotonic()] * LABELLED
            await producer.send(FEEDBACK.name, pack(thumbs))
            await producer.send(LABELS.name, pack(said))


async def watch(stage: Stage, wanted: int, seen: list[tuple[int, float]], within_s: float) -> None:
    """Read the figure until it has all labels; `seen` gets the labels it has whenever that changes, and when."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline and (not seen or seen[-1][0] < wanted):
        labels = int((await asyncio.to_thread(stage.warehouse.rows, READ))[0]["labels"])
        if labels > (seen[-1][0] if seen else 0):
            seen.append((labels, time.monotonic()))
        await asyncio.sleep(0.05)


async def run(stage: Stage, rate: int, seconds: float) -> list[float]:
    """Seconds from each label's emission until the figure has it; those of the first five seconds are left out."""
    emitted: list[float] = []
    seen: list[tuple[int, float]] = []
    wanted = LABELLED * round(seconds / TICK_S)
    await asyncio.gather(emit(stage, rate, seconds, emitted), watch(stage, wanted, seen, seconds + 60))
    counts = [labels for labels, _ in seen]
    places = [bisect.bisect_left(counts, number + 1) for number in range(len(emitted))]
    assert places[-1] < len(seen), f"the figure has {counts[-1] if counts else 0} of {wanted} labels"
    warm = emitted[0] + 5
    return sorted(seen[place][1] - at for place, at in zip(places, emitted, strict=True) if at >= warm)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=500, help="events a second (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (default %(default)s)")
    parser.add_argument("--home", type=Path, default=Path("var/bench"), help="where it works and writes freshness.json")
    options = parser.parse_args()
    with raised(options.home / "freshness", CACHE, PLAN) as stage, stage.worker():
        took = asyncio.run(run(stage, options.rate, options.seconds))
    row: dict[str, Any] = {"labels": len(took)}
    row |= {f"p{share}_s": round(took[min(len(took) - 1, len(took) * share // 100)], 2) for share in (50, 95, 99)}
    row["longest_s"] = round(took[-1], 2)
    conditions = machine() | {"events_per_s": options.rate, "seconds": options.seconds}
    conditions["refresh_s"] = Windows().refresh_s
    tell("freshness", conditions, [row])
    print(keep("freshness", conditions, [row], options.home))


if __name__ == "__main__":
    main()
