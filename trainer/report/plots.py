"""Plots as SVG, without scripts and without anything from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from trainer.report.blocks import Curves, Diagonal, Intervals, number, plain

WIDTH = 640
LEFT, RIGHT, TOP, LINE = 190, 150, 8, 26
SQUARE, MARGIN = 320, 46
COLOURS = ("#1b6ca8", "#c2571a", "#2f7d4f", "#8e4585", "#8a6d1d", "#b0305c", "#4b5a6b", "#15808f")
MAX_NAME = 28


def intervals(plot: Intervals) -> str:
    """A line for each, its value as a dot and its interval as a bar; the axis spans what is shown."""
    low = min((item[2] for item in plot.items), default=0.0)
    high = max((item[3] for item in plot.items), default=1.0)
    span = max(high - low, 0.02)
    height = TOP + LINE * len(plot.items) + 24

    def x(value: float) -> float:
        return LEFT + (value - low) / span * (WIDTH - LEFT - RIGHT)

    parts = []
    for place, (name, value, least, most) in enumerate(plot.items):
        y = TOP + LINE * place + LINE / 2
        parts += [
            _text(LEFT - 8, y + 4, _short(name), "end"),
            _line(x(least), y, x(most), y, COLOURS[0], 2),
            f'<circle cx="{x(value):.1f}" cy="{y:.1f}" r="4" fill="{COLOURS[0]}"/>',
            _text(WIDTH - RIGHT + 8, y + 4, f"{number(value)} ({number(least)}–{number(most)})"),
        ]
    base = TOP + LINE * len(plot.items) + 4
    parts.append(_line(LEFT, base, WIDTH - RIGHT, base, "#999", 1))
    parts += [
        _text(x(low), base + 15, number(low), "middle"),
        _text(x(low + span), base + 15, number(low + span), "middle"),
    ]
    return _svg(WIDTH, height, plot.title, parts)


def diagonal(plot: Diagonal) -> str:
    """A square from 0 to 1 both ways; a dot's area grows with its rows."""
    side = SQUARE - 2 * MARGIN

    def x(value: float) -> float:
        return MARGIN + value * side

    def y(value: float) -> float:
        return SQUARE - MARGIN - value * side

    most = max((point[4] for point in plot.points), default=1) or 1
    parts = [
        _line(x(0), y(0), x(1), y(1), "#bbb", 1),
        _line(x(0), y(0), x(1), y(0), "#999", 1),
        _line(x(0), y(0), x(0), y(1), "#999", 1),
    ]
    for at, up, low, high, rows in plot.points:
        radius = 2 + 6 * (rows / most) ** 0.5
        parts.append(_line(x(at), y(low), x(at), y(high), COLOURS[0], 1.5))
        parts.append(f'<circle cx="{x(at):.1f}" cy="{y(up):.1f}" r="{radius:.1f}" fill="{COLOURS[0]}"/>')
    for tick in (0.0, 0.5, 1.0):
        parts += [_text(x(tick), y(0) + 16, f"{tick:g}", "middle"), _text(x(0) - 6, y(tick) + 4, f"{tick:g}", "end")]
    parts += [_text(SQUARE / 2, SQUARE - 8, plot.x_is, "middle"), _text(MARGIN, 14, plot.y_is)]
    return _svg(SQUARE, SQUARE, plot.title, parts)


def curves(plot: Curves) -> str:
    """Lines over a common axis from the smallest value to the largest."""
    points = [point for line in plot.lines.values() for point in line]
    if not points:
        return ""
    left, right = _range([point[0] for point in points])
    low, high = _range([point[1] for point in points])
    height = max(240, 24 + 18 * len(plot.lines))

    def x(value: float) -> float:
        return MARGIN + (value - left) / (right - left) * (WIDTH - MARGIN - RIGHT)

    def y(value: float) -> float:
        return height - MARGIN - (value - low) / (high - low) * (height - MARGIN - 24)

    parts = [_line(x(left), y(low), x(right), y(low), "#999", 1), _line(x(left), y(low), x(left), y(high), "#999", 1)]
    for place, (name, line) in enumerate(plot.lines.items()):
        colour = COLOURS[place % len(COLOURS)]
        path = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in line)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x(at):.1f}" cy="{y(value):.1f}" r="2.5" fill="{colour}"/>' for at, value in line]
        at = 24 + 18 * place
        parts += [_line(WIDTH - RIGHT + 14, at, WIDTH - RIGHT + 32, at, colour, 3)]
        parts += [_text(WIDTH - RIGHT + 38, at + 4, _short(name))]
    for value in (left, right):
        parts.append(_text(x(value), y(low) + 16, f"{value:g}", "middle"))
    for value in (low, high):
        parts.append(_text(x(left) - 5, y(value) + 4, f"{value:.2g}", "end"))
    parts += [_text((MARGIN + WIDTH - RIGHT) / 2, height - 8, plot.x_is, "middle"), _text(MARGIN, 14, plot.y_is)]
    return _svg(WIDTH, height, plot.title, parts)


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _short(name: str) -> str:
    return name if len(name) <= MAX_NAME else name[: MAX_NAME - 1] + "…"


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float) -> str:
    at = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {at} stroke="{colour}" stroke-width="{width}"/>'


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(plain(text))}</text>'


def _svg(width: float, height: float, title: str, parts: Sequence[str]) -> str:
    head = f'<svg viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" role="img"'
    return f'{head} aria-label="{escape(plain(title))}">{"".join(parts)}</svg>'
