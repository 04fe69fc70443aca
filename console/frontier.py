"""The frontier: how accurate each version and candidate is beside what a thousand of its answers cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from console import figures as f
from console.feed import Row
from console.timeline import ACCURACY, GRID, TEXT, share_axis

BEST, CANDIDATE = "#10b981", "#94a3b8"
# A share of a cent: what costs nothing has no place on a scale of ratios.
LEAST_USD = 1e-5
DOLLARS = "(usd) => '$' + (usd >= 1 ? usd.toFixed(0) : String(usd))"


@dataclass(frozen=True, slots=True)
class Choice:
    """A version that answered, or a candidate that was evaluated.

    accuracy, low, high: shares, the 95 % interval beside them; usd_per_1k: US dollars
    best: no version or candidate is more accurate and costs no more
    """

    name: str
    answered: bool
    accuracy: float
    low: float
    high: float
    usd_per_1k: float
    best: bool


def choices(versions: list[Row], candidates: list[Row]) -> tuple[Choice, ...]:
    """The cheapest first; without those whose accuracy is not known.

    versions: with usd_per_1k, at their own traffic; candidates: of the newest job
    """
    known = [
        (row["version"], True, row["value"], row["low"], row["high"], row["usd_per_1k"]) for row in versions if row["n"]
    ]
    # What answers is there already, by what it does in production; the live version is compared among candidates.
    there = {row["version"] for row in versions if row["n"]}
    known += [
        (row["name"], False, row["accuracy"], row["low"], row["high"], row["cost_per_1k"])
        for row in candidates
        if row["n"] and not {row["name"], row["version"]} & there
    ]
    found, best = [], -1.0
    for place, (name, answered, accuracy, low, high, usd) in enumerate(
        sorted(known, key=lambda one: (one[5], -one[2]))
    ):
        found.append(Choice(name, answered, accuracy, low, high, usd, best=not place or accuracy > best))
        best = max(best, accuracy)
    return tuple(found)


def option(found: tuple[Choice, ...]) -> dict[str, Any]:
    """An ECharts option: points with their intervals, and a line through those that are best for their money."""
    return {
        "animation": False,
        "grid": {"left": 48, "right": 70, "top": 18, "bottom": 38},
        "xAxis": {
            "type": "log",
            "name": "US dollars per 1,000 answers",
            "nameLocation": "middle",
            "nameGap": 24,
            "nameTextStyle": {"color": TEXT},
            "axisLabel": {"color": TEXT, ":formatter": DOLLARS},
            "axisLine": {"lineStyle": {"color": GRID}},
            "splitLine": {"lineStyle": {"color": GRID}},
        },
        "yAxis": share_axis([one.low for one in found]),
        "series": [
            {
                "type": "line",
                "data": [_place(one) for one in found if one.best],
                "step": "end",
                "symbol": "none",
                "silent": True,
                "lineStyle": {"color": BEST, "width": 1.5, "type": "dashed"},
            },
            {
                "type": "scatter",
                "symbolSize": 11,
                "labelLayout": {"moveOverlap": "shiftY"},
                "silent": True,
                "data": [_point(one) for one in found],
                "markLine": {
                    "symbol": "none",
                    "silent": True,
                    "label": {"show": False},
                    "lineStyle": {"color": TEXT, "type": "solid", "width": 1, "opacity": 0.6},
                    "data": [[{"coord": [_usd(one), bound]} for bound in (one.low, one.high)] for one in found],
                },
            },
        ],
    }


def _point(one: Choice) -> dict[str, Any]:
    colour = BEST if one.best else (ACCURACY if one.answered else CANDIDATE)
    style = {"color": colour} if one.answered else {"color": "transparent", "borderColor": colour, "borderWidth": 2}
    text = f"{one.name}  {f.percent(one.accuracy)}"
    label = {"show": True, "position": "right", "color": TEXT, "fontSize": 11, "formatter": text}
    return {"name": one.name, "value": _place(one), "itemStyle": style, "label": label}


def _place(one: Choice) -> list[float]:
    return [_usd(one), one.accuracy]


def _usd(one: Choice) -> float:
    return max(LEAST_USD, one.usd_per_1k)
