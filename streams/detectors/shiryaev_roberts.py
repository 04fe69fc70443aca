"""The hard trigger: a Shiryaev-Roberts mixture on the errors of the base audit.

R_n = sum over k of w_k x weighted mean over steps of LR(labels k to n), where LR is the likelihood ratio between an
error rate of baseline + step and the baseline (Shiryaev 1963; Roberts 1966; Pollak, Ann. Statist. 1985). w_k is 1, but
for the first label 1 + HEAD_START: a model is likeliest to be worse than its evaluation from its first answer on (Lucas
and Crosier, Technometrics 1982; Moustakides, Polunchenko and Tartakovsky, Statistica Sinica 2011). Were the baseline
known, R_n - n - HEAD_START would be a martingale without a change, and the mean number of labels to a false alarm at
least the threshold less HEAD_START.
It is not known but estimated, for each k from what came before k: the evaluation and the labels since, renewed every
BLOCK labels, the last LAG left out, so that a change that has just begun does not hide in its own baseline. Half an
error more than was seen keeps a short evaluation from becoming alarms; labels without a change make it sharper.
`make bench-drift` measures the error rates; docs/log.md says what else was tried.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from headrace.contract import ids
from headrace.plan import Triggers
from headrace.warehouse import clickhouse_time
from streams.detectors.detector import Reading, View
from streams.labels import CLOSE, DAY, Row, by_day, reached
from streams.thresholds import hard_threshold
from streams.together import Together, near

# Rates after the change, above the baseline, and what each counts: a threshold is a price that all rises share.
STEPS = (0.065, 0.15, 0.22)
WEIGHTS = (0.42, 0.14, 0.44)
HIGHEST_RATE = 0.95
# A baseline of zero would make the first error infinite evidence.
LOWEST_BASELINE = 0.005
# In errors: what the baseline has more than was seen.
UNSEEN = 0.5
# In labels: how often the baseline is renewed, how many of the newest it leaves out, what the first one counts more.
BLOCK = 100
LAG = 100
HEAD_START = 200
# Recomputed from scratch where a label changed: bounded. An older change would have been found: of those by five points
# that came after a run-in `make bench-drift` misses at most one in forty within 4,000 labels.
MAX_LABELS = 5_000
YEAR = timedelta(days=365)
# Labels a year are counted over so many days: over one or two the threshold would fall at weekends.
PACE_DAYS = 28
LEAST_SPAN = timedelta(seconds=1)


def baseline(errors: int, labelled: int) -> float:
    """The error rate assumed before any change, from a finished evaluation."""
    return max(LOWEST_BASELINE, (errors + UNSEEN) / (labelled + UNSEEN))


def known_before(place: int) -> int:
    """How many of the labels before `place`, counted from 0, its baseline may use."""
    return max(0, place // BLOCK * BLOCK - LAG)


@dataclass(frozen=True, slots=True)
class _Tail:
    """The newest labels: at least MAX_LABELS of them from `since` on, and how many came earlier."""

    since: datetime
    earlier: int
    earlier_errors: int


def _tail(days: Sequence[Mapping[str, int]], promoted: datetime) -> _Tail:
    left, first = MAX_LABELS, len(days)
    while first and left > 0:
        first -= 1
        left -= days[first]["labels"]
    if not first:
        return _Tail(promoted, 0, 0)
    earlier, errors = (sum(day[what] for day in days[:first]) for what in ("labels", "errors"))
    return _Tail(ids.EPOCH + days[first]["day"] * DAY, earlier, errors)


def pace(days: Sequence[Mapping[str, int]], promoted: datetime, last_at: datetime) -> float:
    """Labels a year by the rows of `monitor_days` for the last PACE_DAYS up to the label at `last_at`."""
    newest = [day for day in days if day["day"] > days[-1]["day"] - PACE_DAYS]
    since = max(promoted, ids.EPOCH + newest[0]["day"] * DAY)
    return sum(day["labels"] for day in newest) / (max(last_at - since, LEAST_SPAN) / YEAR)


def threshold_of(triggers: Triggers, labels_per_year: float) -> float:
    """The plan's own threshold, or the one that its budget of false alarms asks for at this rate of labels."""
    return triggers.hard_threshold or hard_threshold(triggers.false_alarms_per_year, labels_per_year)


@dataclass(frozen=True, slots=True)
class _Baseline:
    """What is known of a version before labels are monitored: of so many labels, so many are wrong.

    skipped: the first labels since the promotion, of which it is; source: in words
    """

    errors: int
    labelled: int
    skipped: int
    source: str

    def lacks(self, triggers: Triggers) -> bool:
        """Whether labels that it is made of are still to come."""
        return self.skipped == self.labelled < triggers.reference_labels


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the evidence rests on; two of the same are about the same labels."""

    version: str
    baseline: _Baseline
    tail: _Tail
    days: Sequence[Mapping[str, Any]]


class ShiryaevRoberts:
    """Reads the live version's base-audit labels since its promotion, in order of inference, each once."""

    name = "shiryaev_roberts"

    def __init__(self) -> None:
        self._first: Together[tuple[str, list[Row]], tuple[int, int]] = Together(_upstream, _references)
        self._evidence: Together[_Asked, Row | None] = Together(self._asked, self._read)

    def read(self, view: View) -> Reading:
        triggers, found = view.plan.triggers, self._baseline(view)
        if found.lacks(triggers):
            return self._quiet(view, f"{found.labelled} of the {triggers.reference_labels} labels of a baseline so far")
        before = baseline(found.errors, found.labelled)
        if before + min(STEPS) >= HIGHEST_RATE:
            return self._quiet(view, f"the baseline error rate {before:.3f} leaves no room for a worse one")
        row = self._evidence.about(view)
        if row is None:
            return self._quiet(view, f"no labels yet beyond {found.source}")
        errors, labelled, skipped, source = found.errors, found.labelled, found.skipped, found.source
        n, statistic = int(row["n"]), float(row["statistic"])
        labels_per_year = n / (max(row["last_at"] - row["first_at"], LEAST_SPAN) / YEAR)
        days = _days(view)
        if _tail(days, view.promotion.since).earlier:
            labels_per_year = pace(days, view.promotion.since, row["last_at"])
        threshold = threshold_of(triggers, labels_per_year)
        since_promotion = n + skipped
        fired = statistic >= threshold and since_promotion >= triggers.min_labels
        reason = (
            f"{row['errors']} of {n} audited answers wrong against a baseline of {row['baseline']:.3f} from {source} "
            f"and the labels before the likeliest change: R = {statistic:.4g}, threshold {threshold:.4g}"
        )
        if statistic >= threshold and not fired:
            reason += f", but {since_promotion} labels are fewer than the {triggers.min_labels} that the plan asks for"
        return Reading(
            detector=self.name,
            n=n,
            statistic=statistic,
            threshold=threshold,
            fired=fired,
            reason=reason,
            window_from=row["first_at"],
            window_to=row["last_at"],
            hard=True,
            labels_since_change=int(row["labels_since_change"]),
            test_from=row["change_at"],
            inputs={
                "baseline": row["baseline"],
                "errors": int(row["errors"]),
                "errors_since_change": int(row["errors_since_change"]),
                "reference": {"errors": errors, "labelled": labelled, "source": source},
                "labels_per_year": round(labels_per_year),
                "steps": dict(zip(map(str, STEPS), WEIGHTS, strict=True)),
            },
        )

    def _baseline(self, view: View) -> _Baseline:
        live, first = view.promotion.live, self._first.about(view)
        if first is None:
            return _Baseline(live.errors, live.labelled, 0, "the evaluation of the promotion")
        labelled, errors = first
        return _Baseline(errors, labelled, labelled, f"the first {labelled} labels")

    def _asked(self, view: View) -> _Asked | None:
        found, days = self._baseline(view), _days(view)
        if found.lacks(view.plan.triggers):
            return None
        return _Asked(view.promotion.live.version, found, _tail(days, view.promotion.since), days)

    def _read(self, views: Sequence[View]) -> list[Row | None]:
        asked = [(view, one) for view in views if (one := self._asked(view)) is not None]
        found: dict[str, Row] = {}
        # Who has few labels looks far back: others' labels of that time are not to be read.
        for close in near(asked, lambda one: one[1].tail.since, CLOSE * DAY):
            rows = views[0].queries.query(
                "detectors/shiryaev_roberts",
                tasks=[view.task for view, _ in close],
                versions=[one.version for _, one in close],
                watermarks=[clickhouse_time(view.watermark) for view, _ in close],
                sinces=[clickhouse_time(one.tail.since) for _, one in close],
                skip=[max(0, one.baseline.skipped - one.tail.earlier) for _, one in close],
                earlier=[max(0, one.tail.earlier - one.baseline.skipped) for _, one in close],
                earlier_errors=[_earlier_errors(one) for _, one in close],
                errors=[one.baseline.errors for _, one in close],
                labelled=[one.baseline.labelled for _, one in close],
                unseen=UNSEEN,
                lowest=LOWEST_BASELINE,
                highest=HIGHEST_RATE,
                steps=list(STEPS),
                weights=list(WEIGHTS),
                block=BLOCK,
                lag=LAG,
                head=HEAD_START,
                most=MAX_LABELS,
            )
            found |= {close[row["place"] - 1][0].task: row for row in rows}
        return [found.get(view.task) for view in views]

    def _quiet(self, view: View, reason: str) -> Reading:
        threshold, since = view.plan.triggers.hard_threshold or 0.0, view.promotion.since
        return Reading(self.name, 0, 0.0, threshold, False, reason, since, max(since, view.watermark), hard=True)


def _days(view: View) -> list[Row]:
    return by_day(view.queries, view.task, view.promotion.live.version, view.promotion.since, view.watermark)


def _upstream(view: View) -> tuple[str, list[Row]] | None:
    """An upstream was never evaluated: its first labels tell what it is like, and are not monitored themselves."""
    live = view.promotion.live
    return None if live.labelled else (live.version, _days(view))


def _references(views: Sequence[View]) -> list[tuple[int, int]]:
    """How many first labels there are of each, and how many of them are errors."""
    found = dict.fromkeys((view.task for view in views), (0, 0))
    for close in near(views, lambda view: view.promotion.since, CLOSE * DAY):
        reference = [view.plan.triggers.reference_labels for view in close]
        rows = views[0].queries.query(
            "detectors/reference",
            tasks=[view.task for view in close],
            versions=[view.promotion.live.version for view in close],
            sinces=[clickhouse_time(view.promotion.since) for view in close],
            untils=[clickhouse_time(reached(_days(view), n)) for view, n in zip(close, reference, strict=True)],
            watermarks=[clickhouse_time(view.watermark) for view in close],
            reference=reference,
        )
        found |= {close[row["place"] - 1].task: (int(row["reference"]), int(row["errors"])) for row in rows}
    return [found[view.task] for view in views]


def _earlier_errors(asked: _Asked) -> int:
    """Of the labels before the tail, without those of the baseline."""
    errors, found = asked.tail.earlier_errors, asked.baseline
    return max(0, errors - found.errors) if found.skipped else errors


MAKE = ShiryaevRoberts
