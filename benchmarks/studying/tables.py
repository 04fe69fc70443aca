"""The tables of the case study, over its seeds, and the goals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.studying import costs
from benchmarks.studying.verdicts import GATE
from headrace.costs import TRAFFICS
from headrace.statistics.intervals import wilson

INCUMBENT = "incumbent"
NEAR = (0.94, 0.98)
"""Accuracy of the incumbent on the independent test: within two points of the case study's 96 %."""
FUNNEL = {"feedback": 1224, "rows": 685, "train": 411, "test": 274}
TIMES, CHEAPER = 70, 0.98
"""The case study's 1B model: so many times smaller and faster than the incumbent, and so much cheaper."""
MOST = f"{max(TRAFFICS):,} a day"

Kept = Sequence[dict[str, Any]]


def funnels(rows: Kept) -> list[dict[str, Any]]:
    """What feedback gave, a row a seed."""
    return [
        {
            "seed": row["seed"],
            "traffic": f"{row['traffic_accuracy']:.3f}",
            "independent": f"{row['true_accuracy']:.3f}",
            **row["funnel"],
        }
        for row in _incumbents(rows)
    ]


def accuracies(rows: Kept) -> list[dict[str, Any]]:
    """A row a candidate, the incumbent first: accuracy over the seeds, and how often each verdict let it pass.

    Intervals are of one seed's rows around the mean.
    """
    found = []
    for name, of in _named(rows):
        row: dict[str, Any] = {"candidate": name, "seeds": len(of)}
        for title, key in (("274 rows", "test"), ("independent", "true")):
            accuracy, n = _mean(of, f"{key}_accuracy"), of[0][f"{key}_n"]
            low, high = wilson(accuracy * n, n)
            row[title] = f"{accuracy:.3f} [{low:.3f}, {high:.3f}]"
        if name == INCUMBENT:
            row |= dict.fromkeys(("published", "gate", f"gate at {GATE.planned_rows:,}", "truly"), "")
        else:
            row["published"] = _share([one["published"] for one in of])
            row["gate"] = _verdicts([one["gate"]["verdict"] for one in of])
            row[f"gate at {GATE.planned_rows:,}"] = _verdicts([one["gate_audits"]["verdict"] for one in of])
            row["truly"] = _share([holds(one) for one in of])
        found.append(row)
    return found


def prices(rows: Kept) -> list[dict[str, Any]]:
    """A row a candidate, the incumbent first and models by arithmetic last: size, latency, US dollars a day."""
    found: list[dict[str, Any]] = [
        {
            "candidate": "incumbent (70B, stated)",
            "parameters": int(costs.INCUMBENT_PARAMETERS),
            "mb": 2 * costs.INCUMBENT_PARAMETERS / 1e6,
            "p50_ms": costs.INCUMBENT_P50_MS,
            "p95_ms": None,
            **costs.incumbent_usd_a_day(),
        }
    ]
    for name, of in _named(rows):
        if name != INCUMBENT:
            means = {key: _mean(of, key) for key in ("mb", "p50_ms", "p95_ms")}
            usd = costs.usd_a_day(_mean(of, "busy_s"), costs.CORE_USD_PER_HOUR)
            found.append({"candidate": name, "parameters": of[0]["parameters"], **means, **usd})
    return found + costs.arithmetic()


def holds(row: dict[str, Any]) -> bool:
    """Truly within the gate's margin of the incumbent, on questions that no verdict saw."""
    return bool(row["true_accuracy"] >= row["true_incumbent"] - GATE.margin)


def smallest(rows: Kept) -> dict[str, str]:
    """The smallest candidate in megabytes that each of the verdicts lets pass in every seed; empty: none.

    One that was not yet measured in every seed that another one was measured in does not count.
    """
    ways = {
        "the published criterion": lambda row: row["published"],
        "the gate": lambda row: row["gate"]["verdict"] == "passed",
        f"the gate at {GATE.planned_rows:,} audits": lambda row: row["gate_audits"]["verdict"] == "passed",
        "the independent test": holds,
    }
    named = [(name, of) for name, of in _named(rows) if name != INCUMBENT]
    seeds = max((len(of) for _, of in named), default=0)
    by_size = sorted((of[0]["mb"], name, of) for name, of in named if len(of) == seeds)
    return {
        way: next((name for _, name, of in by_size if all(passes(row) for row in of)), "")
        for way, passes in ways.items()
    }


def missed(rows: Kept) -> list[str]:
    """Goals that do not hold, in words."""
    found = []
    for row in _incumbents(rows):
        for name, wanted in FUNNEL.items():
            if row["funnel"][name] != wanted:
                found.append(f"seed {row['seed']}: {name} {row['funnel'][name]:,} and not {wanted:,}")
    accuracy = _mean(_incumbents(rows), "true_accuracy")
    if not NEAR[0] <= accuracy <= NEAR[1]:
        found.append(f"the incumbent is right in {accuracy:.1%}, and not within two points of 96 %")
    for row in rows:
        if row["candidate"] == INCUMBENT or holds(row):
            continue
        below = 100 * (row["true_incumbent"] - row["true_accuracy"])
        for name in ("gate", "gate_audits"):
            if row[name]["verdict"] == "passed":
                found.append(f"seed {row['seed']}: the {name} let {row['candidate']} pass, {below:.1f} points worse")
    # 274 rows are too few to prove a margin of three points, so that of the gate there nothing is asked.
    winners = {way: name for way, name in smallest(rows).items() if way != "the gate"}
    found += [f"no candidate holds in every seed by {way}" for way, name in winners.items() if not name]
    return found + [one for name in dict.fromkeys(winners.values()) if name for one in _dear(rows, name)]


def _dear(rows: Kept, name: str) -> Iterator[str]:
    (priced,) = (row for row in prices(rows) if row["candidate"] == name)
    incumbent = prices(rows)[0]
    for key, what in (("parameters", "smaller"), ("p50_ms", "faster")):
        if priced[key] * TIMES > incumbent[key]:
            yield f"{name} is {incumbent[key] / priced[key]:.0f} times {what}, and not {TIMES}"
    if priced[MOST] > (1 - CHEAPER) * incumbent[MOST]:
        yield f"{name} is {1 - priced[MOST] / incumbent[MOST]:.1%} cheaper at {MOST}, and not {CHEAPER:.0%}"


def _named(rows: Kept) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The rows of each candidate, the incumbent's first."""
    names = [INCUMBENT, *(row["candidate"] for row in rows)]
    for name in dict.fromkeys(names):
        of = [row for row in rows if row["candidate"] == name]
        if of:
            yield name, of


def _incumbents(rows: Kept) -> list[dict[str, Any]]:
    return [row for row in rows if row["candidate"] == INCUMBENT]


def _mean(rows: Kept, key: str) -> float:
    return float(np.mean([row[key] for row in rows]))


def _share(values: Sequence[bool]) -> str:
    return f"{sum(values)}/{len(values)}"


def _verdicts(values: Sequence[str]) -> str:
    return ", ".join(f"{values.count(one)} {one}" for one in dict.fromkeys(values))
