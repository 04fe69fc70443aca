"""Two-window proportions: the share of wrong answers among the newest base-audit labels, against all labels before.

Fisher's exact test, one-sided, with mid-p, on spans of as many windows as the rolling accuracy has. Slower than the
hard trigger and independent of its model: a soft signal on labels, for whoever asks whether two windows differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from headrace.statistics.significance import more_often
from headrace.warehouse import clickhouse_time
from streams.detectors import soft
from streams.detectors.detector import LABELS, Reading, View
from streams.profiles import MIN_SAMPLES
from streams.spans import LOOKED_AT, MILLISECOND, first_window, start_of
from streams.together import Together


class LabelProportions:
    """Reads the live version's labels by window since its promotion, and the evaluation that promoted it."""

    name = "label_proportions"

    def __init__(self) -> None:
        self._last: Together[_Subject, Reading] = Together(_subject, self._compare)

    def read(self, view: View) -> Reading:
        """Recomputed when a window closes, with the labels that are there then."""
        found = self._last.about(view)
        assert found is not None
        return found

    def _compare(self, views: Sequence[View]) -> list[Reading]:
        subjects = [_subject(view) for view in views]
        rows = views[0].queries.query(
            "detectors/label_windows",
            tasks=[view.task for view in views],
            versions=[subject.version for subject in subjects],
            sinces=[clickhouse_time(subject.begin) for subject in subjects],
            closed=[clickhouse_time(subject.closed) for subject in subjects],
            spans=[min(LOOKED_AT, (subject.closed - subject.begin) // _span(views[0])) for subject in subjects],
            span_ms=_span(views[0]) // MILLISECOND,
        )
        found: list[dict[int, tuple[int, int]]] = [{} for _ in views]
        for row in rows:
            found[row["place"] - 1][int(row["back"])] = int(row["errors"]), int(row["labelled"])
        return [self._reading(*of) for of in zip(views, subjects, found, strict=True)]

    def _reading(self, view: View, subject: _Subject, found: dict[int, tuple[int, int]]) -> Reading:
        windows, live, span = view.plan.windows, view.promotion.live, _span(view)
        errors, labelled = found.pop(0, (0, 0))
        before, n = errors + live.errors, labelled + live.labelled
        tested = [
            soft.Tested(
                subject.closed - back * span,
                n,
                m,
                statistic=now / m,
                p_value=more_often(before, n, now, m),
                inputs={"error_rate": now / m, "reference": before / n},
            )
            for back, (now, m) in sorted(found.items(), reverse=True)
            if min(n, m) >= MIN_SAMPLES
        ]
        if not tested:
            reason = (
                f"fewer than {MIN_SAMPLES} labels before, or in each of the last spans of {windows.rolling} windows"
            )
            return soft.quiet(view, self.name, LABELS, reason)
        what = f"error rates of spans of {windows.rolling} windows"
        return soft.verdict(view, self.name, LABELS, tested, what, span)


@dataclass(frozen=True, slots=True)
class _Subject:
    """A version, when its first whole window began and its last one closed."""

    version: str
    begin: datetime
    closed: datetime


def _subject(view: View) -> _Subject:
    begin = first_window(view.promotion.since, view.size)
    return _Subject(view.promotion.live.version, begin, max(begin, start_of(view.closed_until, view.size)))


def _span(view: View) -> timedelta:
    return view.plan.windows.rolling * view.size


MAKE = LabelProportions
