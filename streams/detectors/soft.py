"""What the detectors without labels share: two of the last three closed windows must differ from their reference.

A detector gives the p-value of each window; `alpha` is the nominal probability that one window of one detector differs
where nothing changed. A soft signal: it is recorded, and never starts a retraining alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from streams.detectors.detector import Reading, View
from streams.profiles import MIN_SAMPLES, Pair
from streams.thresholds import window_false_alarm

MUST_DIFFER = 2
MIN_WINDOWS = 12
"""Of a reference, whose differences among each other tell how much windows differ anyway."""
YEAR_S = 365.25 * 86_400
NO_WINDOW = "no window has closed yet after the first {}, which are the reference"
TOO_FEW = f"fewer than {MIN_SAMPLES} sessions in the reference or in each of the last windows"


@dataclass(frozen=True, slots=True)
class Tested:
    """One closed window against its reference.

    n, m: sessions in the reference and in the window; threshold: of the statistic, where it has one
    """

    window_from: datetime
    n: int
    m: int
    statistic: float
    p_value: float
    threshold: float = 0.0
    inputs: Mapping[str, Any] = field(default_factory=dict)


def alpha(view: View) -> float:
    """The plan's `false_alarm`, or what follows from its budget of false alarms a year."""
    plan = view.plan
    if plan.triggers.false_alarm is not None:
        return plan.triggers.false_alarm
    return window_false_alarm(plan.triggers.false_alarms_per_year, YEAR_S / plan.windows.size_s)


def pairs(view: View) -> list[Pair]:
    """The profiles to compare, of windows with enough sessions on both sides. Raises WarehouseError."""
    every = view.profiles.pairs(view)
    return [pair for pair in every if min(pair.reference.sessions, pair.window.sessions) >= MIN_SAMPLES]


def verdict(
    view: View, name: str, family: str, windows: Sequence[Tested], what: str, size: timedelta | None = None
) -> Reading:
    """The reading of a detector that tested `windows`, oldest first, at least one.

    what: differs, in words: "the labels given"; size: of the windows, where it is not the plan's
    """
    level, size = alpha(view), size or view.size
    differ = sum(window.p_value < level for window in windows)
    newest = windows[-1]
    return Reading(
        detector=name,
        n=newest.m,
        statistic=newest.statistic,
        threshold=newest.threshold,
        fired=differ >= MUST_DIFFER,
        reason=(
            f"{what} differ from the reference at p < {level:.3g} in {differ} of the last {len(windows)} windows; "
            f"the newest: p = {newest.p_value:.3g}, {newest.m} against {newest.n}"
        ),
        window_from=windows[0].window_from,
        window_to=newest.window_from + size,
        inputs={"p_value": newest.p_value, "windows": [_plain(window) for window in windows]},
        family=family,
    )


def quiet(view: View, name: str, family: str, reason: str = "") -> Reading:
    """No statistic, and why: by default that too little has happened yet."""
    if not reason:
        reason = TOO_FEW if view.compared else NO_WINDOW.format(view.plan.windows.rolling)
    since = view.promotion.since
    return Reading(name, 0, 0.0, 0.0, False, reason, since, max(since, view.watermark), family=family)


def _plain(window: Tested) -> dict[str, Any]:
    return {
        "window_from": window.window_from.astimezone(UTC).isoformat(),
        "n": window.n,
        "m": window.m,
        "statistic": window.statistic,
        "p_value": window.p_value,
        **window.inputs,
    }
