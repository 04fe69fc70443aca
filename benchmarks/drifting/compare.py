"""How much faster another detector is than headrace's at the same measured rate of false alarms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from math import log
from typing import Any

OURS = "shiryaev-roberts"
# Per 10,000 labels: beyond it a task with fifty audits a day has more than one false alarm in eleven months.
HIGHEST_RATE = 0.6
RATE = "false_alarms_per_10k"


def compare(rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """For each error rate, start and rise: the fastest other detector relative to ours.

    faster_by: share of our delay that it saves, negative where ours is faster; ours is interpolated between settings,
    linearly in the logarithm of its rate. Settings above HIGHEST_RATE and outside our settings' rates do not count.
    """
    worlds = dict.fromkeys((row["base"], row["start"]) for row in rows)
    for base, start in worlds:
        here = [row for row in rows if (row["base"], row["start"]) == (base, start)]
        ours = sorted((row for row in here if row["detector"] == OURS), key=lambda row: float(row[RATE]))
        others = [row for row in here if row["detector"] != OURS and 0 < row[RATE] <= HIGHEST_RATE]
        for delay in ("delay_5", "delay_10", "delay_20"):
            found = [(1 - row[delay] / ours_at, row) for row in others if (ours_at := _at(ours, row[RATE], delay))]
            if found:
                faster_by, row = max(found, key=lambda pair: pair[0])
                yield {"base": base, "start": start, "rise": delay.removeprefix("delay_")} | {
                    "fastest other": row["detector"], "setting": row["setting"], RATE: row[RATE],
                    "its delay": row[delay], "our delay": round(row[delay] / (1 - faster_by)),
                    "faster_by": round(faster_by, 3),
                }  # fmt: skip


def _at(ours: Sequence[Mapping[str, Any]], rate: float, delay: str) -> float | None:
    for low, high in pairwise(ours):
        if 0 < low[RATE] <= rate <= high[RATE] and low[RATE] < high[RATE]:
            share = log(rate / low[RATE]) / log(high[RATE] / low[RATE])
            return float(low[delay] + share * (high[delay] - low[delay]))
    return None
