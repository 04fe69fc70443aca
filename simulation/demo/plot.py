"""The timeline of a run: rolling accuracy with its interval, triggers and promotions, as PNG and as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Point:
    """Accuracy at a moment, shares of 1."""

    at: datetime
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened. kind: trigger, promotion or world."""

    at: datetime
    text: str
    kind: str


COLOURS = {"trigger": "#c2410c", "promotion": "#15803d", "world": "#6b7280"}
# A label's character, as a share of the plot's width.
CHARACTER = 0.0072
NOTE = "questions, users, experts and the 70B model are simulated; Kafka, ClickHouse, training and serving are real"


def draw_png(path: Path, title: str, rolling: Sequence[Point], truth: Sequence[Point], marks: Sequence[Mark]) -> None:
    """Draw with matplotlib."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    start = _start(rolling, truth)
    figure, axes = pyplot.subplots(figsize=(12, 5.5), dpi=130)
    x = [_seconds(start, point.at) for point in rolling]
    axes.fill_between(x, [p.low for p in rolling], [p.high for p in rolling], color="#2563eb", alpha=0.15, lw=0)
    axes.plot(
        x, [p.value for p in rolling], color="#2563eb", lw=1.8, label="rolling accuracy, blind audit, 95 % interval"
    )
    axes.plot(
        [_seconds(start, p.at) for p in truth],
        [p.value for p in truth],
        ".",
        color="#111827",
        ms=4,
        label="the simulation's truth, every answer, 10 s",
    )
    bottom = min([0.6, *(p.low for p in rolling), *(p.value for p in truth)])
    axes.set_ylim(max(0.0, bottom - 0.05), 1.12)
    for mark, row in zip(*_shelved(marks, rolling, truth), strict=True):
        at = _seconds(start, mark.at)
        axes.axvline(at, color=COLOURS[mark.kind], lw=1.2, ls="--" if mark.kind == "world" else "-")
        axes.text(at, 1.10 - 0.022 * row, f" {mark.text}", color=COLOURS[mark.kind], fontsize=8, va="top")
    axes.set_yticks([tick / 10 for tick in range(11) if tick / 10 > bottom - 0.05])
    axes.set_xlabel("seconds since the first request")
    axes.set_ylabel("accuracy")
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold")
    axes.text(0, -0.16, NOTE, transform=axes.transAxes, fontsize=8, color="#6b7280")
    axes.grid(alpha=0.25)
    axes.legend(loc="lower left", frameon=False, fontsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)


def draw_html(path: Path, title: str, rolling: Sequence[Point], truth: Sequence[Point], marks: Sequence[Mark]) -> None:
    """Draw with plotly; the file holds its own script and opens without a network."""
    from plotly import graph_objects

    figure = graph_objects.Figure()
    x = [p.at for p in rolling]
    figure.add_scatter(x=x, y=[p.high for p in rolling], line={"width": 0}, showlegend=False, hoverinfo="skip")
    figure.add_scatter(
        x=x,
        y=[p.low for p in rolling],
        fill="tonexty",
        fillcolor="rgba(37,99,235,.15)",
        line={"width": 0},
        name="95 % interval",
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=x, y=[p.value for p in rolling], line={"color": "#2563eb"}, name="rolling accuracy (blind audit)"
    )
    figure.add_scatter(
        x=[p.at for p in truth],
        y=[p.value for p in truth],
        mode="markers",
        marker={"color": "#111827", "size": 4},
        name="the simulation's truth",
    )
    for mark, row in zip(*_shelved(marks, rolling, truth), strict=True):
        figure.add_shape(
            type="line",
            x0=mark.at,
            x1=mark.at,
            y0=0,
            y1=1,
            yref="paper",
            line={"color": COLOURS[mark.kind], "width": 1.5},
        )
        figure.add_annotation(
            x=mark.at,
            y=1.0 - 0.04 * row,
            yref="paper",
            text=mark.text,
            showarrow=False,
            xanchor="left",
            font={"color": COLOURS[mark.kind], "size": 11},
        )
    figure.update_layout(
        title=f"{title}<br><sup>{NOTE}</sup>",
        template="plotly_white",
        yaxis_title="accuracy",
        legend={"orientation": "h"},
    )
    figure.write_html(path, include_plotlyjs=True, full_html=True)


def _shelved(marks: Sequence[Mark], *lines: Sequence[Point]) -> tuple[list[Mark], list[int]]:
    """The marks in order, and for each the first row of labels, from the top, in which its text hides no other's."""
    ordered = sorted(marks, key=lambda mark: mark.at)
    start = _start(*lines)
    width = max(_seconds(start, moment) for moment in (*(p.at for line in lines for p in line), *(m.at for m in marks)))
    ends: list[float] = []
    rows = []
    for mark in ordered:
        at = _seconds(start, mark.at)
        row = next((row for row, end in enumerate(ends) if end <= at), len(ends))
        ends[row : row + 1] = [at + (len(mark.text) + 2) * CHARACTER * width]
        rows.append(row)
    return ordered, rows


def _start(*lines: Sequence[Point]) -> datetime:
    return min(point.at for line in lines for point in line)


def _seconds(start: datetime, at: datetime) -> float:
    return (at - start).total_seconds()
