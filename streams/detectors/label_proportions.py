"""Two-window proportions: the share of wrong answers among the newest base-audit labels, against all labels before.

Fisher's exact test, one-sided, with mid-p, on spans of as many windows as the rolling accuracy has. Slower than the
hard trigger and independent of its model: a soft signal on labels, for whoever asks whether two windows differ.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from streams.detectors import soft
from streams.detectors.detector import LABELS, Reading, View
from streams.profiles import FEWEST
from streams.queries import clickhouse_time
from streams.significance import more_often
from streams.spans import LOOKED_AT, first_window, start_of


class LabelProportions:
    """Reads the live version's labels by window since its promotion, and the evaluation that promoted it."""

    name = "label_proportions"

    def __init__(self) -> None:
        self._last: dict[str, tuple[tuple[str, datetime], Reading]] = {}

    def read(self, view: View) -> Reading:
        """Recomputed when a window closes, with the labels that are there then."""
        size = timedelta(seconds=view.plan.windows.size_s)
        begin = first_window(view.promotion.since, size)
        closed = max(begin, start_of(view.closed_until, size))
        subject = view.promotion.live.version, closed
        known = self._last.get(view.task)
        if known is None or known[0] != subject:
            known = self._last[view.task] = subject, self._compare(view, begin, closed)
        return known[1]

    def _compare(self, view: View, begin: datetime, closed: datetime) -> Reading:
        windows, live = view.plan.windows, view.promotion.live
        span = timedelta(seconds=windows.size_s * windows.rolling)
        rows = view.queries.query(
            "monitor_label_windows",
            task=view.task,
            version=live.version,
            since=clickhouse_time(begin),
            closed=clickhouse_time(closed),
            span_ms=span // timedelta(milliseconds=1),
            spans=min(LOOKED_AT, (closed - begin) // span),
        )
        found = {int(row["back"]): (int(row["errors"]), int(row["labelled"])) for row in rows}
        errors, labelled = found.pop(0, (0, 0))
        before, n = errors + live.errors, labelled + live.labelled
        tested = [
            soft.Tested(
                closed - back * span,
                n,
                m,
                statistic=now / m,
                p_value=more_often(before, n, now, m),
                inputs={"error_rate": now / m, "reference": before / n},
            )
            for back, (now, m) in sorted(found.items(), reverse=True)
            if min(n, m) >= FEWEST
        ]
        if not tested:
            reason = f"fewer than {FEWEST} labels before, or in each of the last spans of {windows.rolling} windows"
            return soft.quiet(view, self.name, LABELS, reason)
        what = f"error rates of spans of {windows.rolling} windows"
        return soft.verdict(view, self.name, LABELS, tested, what, span)


MAKE = LabelProportions
