"""How numbers are written on the page."""

from __future__ import annotations

from datetime import datetime
from math import floor, log10

NONE = "–"


def percent(share: float) -> str:
    """`.9612` as `96.1 %`."""
    return f"{100 * share:.1f} %"


def interval(low: float, high: float) -> str:
    """`95.0 – 97.1 %`."""
    return f"{100 * low:.1f} – {100 * high:.1f} %"


def whole(number: float) -> str:
    """`12,345`."""
    return f"{number:,.0f}"


def dollars(usd: float) -> str:
    """Three digits that say something: `$1.20`, `$0.00430`."""
    if usd <= 0:
        return "$0"
    decimals = max(2, 2 - floor(log10(usd)))
    return f"${usd:,.{decimals}f}"


def milliseconds(ms: float) -> str:
    """`9.3 ms`, `412 ms`, `26.0 s`."""
    if ms >= 10_000:
        return f"{ms / 1000:.1f} s"
    return f"{ms:,.0f} ms" if ms >= 100 else f"{ms:.1f} ms"


def rate(per_s: float) -> str:
    """Requests a second."""
    return f"{per_s:,.0f}" if per_s >= 100 else f"{per_s:.1f}"


def statistic(value: float) -> str:
    """A detector's statistic, whatever its scale: `0.0031`, `12.4`, `13,402`, `1.3e+08`."""
    if abs(value) < 1000:
        return f"{value:.3g}"
    return f"{value:,.0f}" if abs(value) < 10_000_000 else f"{value:.1e}"


def seconds(age_s: float) -> str:
    """An age in its largest unit: `now`, `40 s`, `3 min`, `2 h`, `5 d`. Coarse, so that the page does not flicker."""
    if age_s < 10:
        return "now"
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if age_s >= size:
            return f"{age_s // size:.0f} {unit}"
    return f"{age_s // 10 * 10:.0f} s"


def moment(at: datetime) -> str:
    """`2 Mar 14:05:09`, UTC."""
    return f"{at.day} {at:%b %H:%M:%S}"


def saving(now: float, before: float) -> str:
    """How far below: `98.4 % less than`; empty where the comparison says nothing."""
    if before <= 0 or now == before:
        return ""
    change = 1 - now / before
    return f"{percent(abs(change))} {'less' if change > 0 else 'more'} than"
