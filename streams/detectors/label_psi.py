"""Label shift: the population stability index of the labels that the live version gives, against its first windows.

A fixed cut-off on PSI alarms by chance (a quarter of the time at n = 100), so it is calibrated: with n reference and m
tested answers, PSI x n m / (n + m) follows a chi-square distribution with k - 1 degrees of freedom where nothing
changed (Yurdakul and Naranjo, J. Risk Model Validation 2020), if rare labels are pooled and one inference a session is
counted. A soft signal: it is recorded, and never starts a retraining alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from headrace import ids
from headrace.intervals import quantile
from streams.detectors.detector import ANSWERS, Reading, View, clickhouse_time

# Disjoint closed windows that are looked at, and how many of them must differ.
LOOKED_AT = 3
MUST_DIFFER = 2
# Sessions below which a window says nothing.
FEWEST = 30


def chi_square_quantile(probability: float, degrees: int) -> float:
    """Wilson and Hilferty's approximation (PNAS 1931): within 3 % at .001 from two degrees of freedom on."""
    spread = 2 / (9 * degrees)
    return float(degrees * max(0.0, 1 - spread + quantile(probability) * spread**0.5) ** 3)


@dataclass(frozen=True, slots=True)
class Spans:
    """The windows that are compared, all of one size and closed at the watermark; `to` times are exclusive."""

    reference_from: datetime
    reference_to: datetime
    tested_from: datetime
    tested_to: datetime


def spans(since: datetime, watermark: datetime, size: timedelta, reference: int) -> Spans | None:
    """The first `reference` whole windows after `since`, and up to LOOKED_AT newest closed ones after those.

    None while there is no window to test yet.
    """
    reference_from = ids.EPOCH - (ids.EPOCH - since) // size * size
    reference_to = reference_from + reference * size
    tested_to = ids.EPOCH + (watermark - ids.EPOCH) // size * size
    tested_from = max(reference_to, tested_to - LOOKED_AT * size)
    if tested_from >= tested_to:
        return None
    return Spans(reference_from, reference_to, tested_from, tested_to)


class LabelPsi:
    """Reads the labels of the live arm of the current version."""

    name = "label_psi"

    def __init__(self) -> None:
        self._last: dict[str, tuple[tuple[str, Spans], Reading]] = {}

    def read(self, view: View) -> Reading:
        windows = view.plan.windows
        size = timedelta(seconds=windows.size_s)
        compared = spans(view.promotion.since, view.watermark, size, windows.rolling)
        if compared is None:
            return self._quiet(view, f"the reference takes the first {windows.rolling} windows after the promotion")
        # Closed windows say the same until the next one closes; this is the monitor's widest read.
        subject = (view.promotion.live.version, compared)
        known = self._last.get(view.task)
        if known is None or known[0] != subject:
            known = self._last[view.task] = (subject, self._compare(view, compared))
        return known[1]

    def _compare(self, view: View, compared: Spans) -> Reading:
        alpha, size = view.plan.triggers.psi_false_alarm, timedelta(seconds=view.plan.windows.size_s)
        rows = view.queries.query(
            "monitor_label_psi",
            task=view.task,
            version=view.promotion.live.version,
            reference_from=clickhouse_time(compared.reference_from),
            reference_to=clickhouse_time(compared.reference_to),
            tested_from=clickhouse_time(compared.tested_from),
            tested_to=clickhouse_time(compared.tested_to),
            size_ms=size // timedelta(milliseconds=1),
        )
        rows = [row for row in rows if min(row["n"], row["m"]) >= FEWEST and row["degrees"] >= 1]
        if not rows:
            return self._quiet(view, f"fewer than {FEWEST} sessions in the reference or in each of the last windows")
        differ = [row for row in rows if row["p_value"] < alpha]
        newest = rows[-1]
        return Reading(
            detector=self.name,
            n=int(newest["m"]),
            statistic=float(newest["statistic"]),
            threshold=chi_square_quantile(1 - alpha, int(newest["degrees"])),
            fired=len(differ) >= MUST_DIFFER,
            reason=f"{len(differ)} of the last {len(rows)} windows differ from the reference at p < {alpha:g}",
            window_from=compared.tested_from,
            window_to=compared.tested_to,
            inputs={"windows": [_plain(row) for row in rows], "reference_from": compared.reference_from.isoformat()},
            family=ANSWERS,
        )

    def _quiet(self, view: View, reason: str) -> Reading:
        since = view.promotion.since
        return Reading(self.name, 0, 0.0, 0.0, False, reason, since, max(since, view.watermark), family=ANSWERS)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    at = row["window_from"].astimezone(UTC).isoformat()
    return row | {"window_from": at}


MAKE = LabelPsi
