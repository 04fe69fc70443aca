"""The chart: accuracy with its interval over event time, who served, and a line at each trigger and promotion."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from math import floor
from typing import Any

from console.feed import Row

ACCURACY, TRIGGER, PROMOTION, ROLLBACK = "#0ea5e9", "#f59e0b", "#10b981", "#ef4444"
# Greys that read on light and on dark alike.
TEXT, GRID = "#8491a5", "rgba(132, 145, 165, .18)"
SERVED = ("rgba(132, 145, 165, .00)", "rgba(132, 145, 165, .09)")
# Labels of lines closer than this share of the axis would overlap: they go on different levels.
CLOSE, LEVELS, LEVEL_PX = 0.14, 3, 14
# The generation that says who served before anything happened: it gets no line.
FIRST = 1
TIMES = {
    "year": "{yyyy}",
    "month": "{MMM} {yyyy}",
    "day": "{d} {MMM}",
    "hour": "{HH}:{mm}",
    "minute": "{HH}:{mm}",
    "second": "{HH}:{mm}:{ss}",
}

# Runs in the browser over our own numbers; the tooltip draws text, never HTML.
TOOLTIP = """(points) => {
  const p = points.find((point) => point.seriesName === 'accuracy');
  if (!p) return '';
  const percent = (share) => (100 * share).toFixed(1);
  const [at, value, low, high, n] = p.value;
  return new Date(at).toISOString().slice(0, 19).replace('T', ' ') + ' UTC\\n' + percent(value) + ' % correct\\n'
    + '95 %: ' + percent(low) + ' – ' + percent(high) + ' · ' + n + ' audits';
}"""


def option(accuracy: list[Row], timeline: list[Row]) -> dict[str, Any]:
    """An ECharts option from the rows of console/accuracy.sql and console/timeline.sql (newest first)."""
    readings = [[_ms(row["watermark"]), row["value"], row["low"], row["high"], row["n"]] for row in accuracy]
    start, end = _span(readings, timeline)
    return {
        "useUTC": True,
        "animation": False,
        "grid": {"left": 48, "right": 24, "top": 6 + LEVELS * LEVEL_PX, "bottom": 62},
        "tooltip": {"trigger": "axis", "renderMode": "richText", ":formatter": TOOLTIP},
        "xAxis": {
            "type": "time",
            "min": start,
            "max": end,
            "axisLabel": {"color": TEXT, "hideOverlap": True, "formatter": TIMES},
            "axisLine": {"lineStyle": {"color": GRID}},
            "splitLine": {"show": False},
        },
        "yAxis": share_axis([low for _, _, low, _, _ in readings]),
        "dataZoom": [
            {"type": "inside", "zoomOnMouseWheel": "ctrl"},
            {"type": "slider", "height": 18, "bottom": 8, "borderColor": "transparent", "textStyle": {"color": TEXT}},
        ],
        "series": [
            _edge("low", [[at, low] for at, _, low, _, _ in readings]),
            _edge("band", [[at, high - low] for at, _, low, high, _ in readings], {"color": ACCURACY, "opacity": 0.18}),
            {
                "name": "accuracy",
                "type": "line",
                "data": readings,
                "symbol": "circle",
                "symbolSize": 5,
                "showSymbol": len(readings) < 40,
                "lineStyle": {"width": 2.5, "color": ACCURACY},
                "itemStyle": {"color": ACCURACY},
                "markLine": {"symbol": "none", "silent": True, "data": _lines(timeline, end - start)},
                "markArea": {"silent": True, "data": _areas(timeline, start, end)},
            },
        ],
    }


def _edge(name: str, data: list[list[float]], area: dict[str, Any] | None = None) -> dict[str, Any]:
    """One of the two stacked, invisible lines whose difference is the interval's band."""
    return {
        "name": name,
        "type": "line",
        "stack": "interval",
        "stackStrategy": "all",
        "data": data,
        "symbol": "none",
        "silent": True,
        "lineStyle": {"opacity": 0},
        "areaStyle": area or {"opacity": 0},
        "tooltip": {"show": False},
    }


def _lines(timeline: list[Row], span_ms: float) -> list[dict[str, Any]]:
    """A vertical line at each trigger and at each change of the live version, oldest first."""
    marks = []
    for row in reversed(timeline):
        if row["what"] == "trigger":
            marks.append((_ms(row["at"]), f"▼ {row['kind']}", TRIGGER, "dashed"))
        elif _went_live(row) and row["number"] > FIRST:
            back = row["kind"] == "rolled_back"
            label = f"{'↩' if back else '▲'} {row['version']}"
            marks.append((_ms(row["at"]), label, ROLLBACK if back else PROMOTION, "solid"))
    lines: list[dict[str, Any]] = []
    level, before = 0, float("-inf")
    for at, text, colour, style in marks:
        level = (level + 1) % LEVELS if at - before < CLOSE * span_ms else 0
        before = at
        lines.append(
            {
                "xAxis": at,
                "name": text,
                "lineStyle": {"color": colour, "type": style, "width": 1.5},
                "label": {
                    "formatter": text,
                    "color": colour,
                    "fontSize": 11,
                    "fontWeight": 600,
                    "distance": 4 + level * LEVEL_PX,
                },
            }
        )
    return lines


def _areas(timeline: list[Row], start: float, end: float) -> list[list[dict[str, Any]]]:
    """The stretch that each live version served, alternately shaded."""
    changes = [(max(start, _ms(row["at"])), row["version"]) for row in reversed(timeline) if _went_live(row)]
    stretches = zip(changes, [at for at, _ in changes[1:]] + [end], strict=False)
    return [
        [
            {
                "xAxis": at,
                "name": str(version),
                "itemStyle": {"color": SERVED[place % 2]},
                "label": {"position": "insideBottom", "color": TEXT, "fontSize": 11, "distance": 6},
            },
            {"xAxis": until},
        ]
        for place, ((at, version), until) in enumerate(stretches)
    ]


def _span(readings: list[list[float]], timeline: list[Row]) -> tuple[float, float]:
    """The axis: all readings, and what happened between or after them, with a little room at the right."""
    points = [reading[0] for reading in readings] + [
        _ms(row["at"]) for row in timeline if row["what"] == "trigger" or (_went_live(row) and row["number"] > FIRST)
    ]
    if not points:
        return 0.0, 1.0
    start, end = min(points), max(points)
    return start, end + max(60_000.0, 0.03 * (end - start))


def share_axis(lows: Sequence[float]) -> dict[str, Any]:
    """From the multiple of .05 below the lowest bound, so that a fall of a few points is seen."""
    return {
        "type": "value",
        "min": max(0.0, floor(20 * (min(lows) - 0.01)) / 20) if lows else 0.5,
        "max": 1,
        "axisLabel": {"color": TEXT, ":formatter": "(share) => Math.round(100 * share) + ' %'"},
        "splitLine": {"lineStyle": {"color": GRID}},
    }


def _went_live(row: Row) -> bool:
    return row["what"] == "promotion" and row["kind"] in ("live", "rolled_back")


def _ms(at: datetime) -> float:
    # ClickHouse answers in UTC, and its driver may leave the zone away.
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000
