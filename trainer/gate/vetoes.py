"""Why a candidate that is proven must not serve: a label lost, a suite that it fails, its confidence, what it forgot,
what it costs. Pure.

A label is lost
    where it has texts among the test rows and the older ones: if the candidate is right in at most half as many as
        the live version, however few they are; one or two are not enough where validation rows and examples deny it
    where it has none: if the candidate is right in less than half of the validation rows and the plan's examples
    in any case: if the candidate is right nowhere; if it is right in at most half as many of the present's test rows
        as the live version, where that has more than two right; if it has no training row and is right in less than
        half of all that it was asked
What nothing was asked about is for a person: examples in the plan, or the label among `approved_labels`.
"""

from __future__ import annotations

from headrace.plan import Gate
from headrace.statistics.paired import Pairs, mcnemar
from trainer.gate.evidence import Evidence
from trainer.gate.outcomes import Outcomes

CHANCE = 0.05
"""A drop must be larger than this one-sided level explains."""
NOTICED_MS = 300.0
"""A p95 up to this is no reason: on a busy machine a model's is several times its own."""
FEW, ENOUGH = 2, 3
"""So few texts that the live version has right may be lost by chance, if of so many others at least half are right."""


def veto(evidence: Evidence, gate: Gate, error: float) -> str:
    """The first reason; empty where there is none. error: expected calibration error"""
    for found in (_price(evidence, gate), _labels(evidence, gate), evidence.suites):
        if found:
            return found
    if error > gate.max_ece:
        return f"its confidence is off by {error:.3f} (expected calibration error), more than {gate.max_ece:.3f}"
    forgotten = _drop(evidence.forget, None, gate.forgetting_drop)
    return f"it forgot: accuracy on older test rows falls by {forgotten}" if forgotten else ""


def dearer(evidence: Evidence, ratio: float) -> str:
    """Which of cost and p95 is above so many times the live version's; empty where none is, as far as known.

    A candidate that takes so long in one process takes no less at a gateway, wherever the live version was timed.
    """
    slow = evidence.candidate.p95_ms if evidence.candidate.p95_ms > NOTICED_MS else 0.0
    named = (
        ("it costs", evidence.candidate.cost_per_1k, evidence.live.cost_per_1k),
        ("its p95 is", slow, evidence.live.p95_ms),
    )
    over = [
        f"{what} {mine / live:.1f} times the live version's" for what, mine, live in named if mine > ratio * live > 0
    ]
    return " and ".join(over)


def _price(evidence: Evidence, gate: Gate) -> str:
    found = dearer(evidence, gate.max_cost_ratio)
    return f"{found}, more than {gate.max_cost_ratio:g}" if found else ""


def _labels(evidence: Evidence, gate: Gate) -> str:
    counts = [_counted(evidence.test), _counted(evidence.forget)]
    for label, name in evidence.names.items():
        asked, right, live = (sum(found.get(label, (0, 0.0, 0.0))[place] for found in counts) for place in range(3))
        if label in gate.approved_labels or name in gate.approved_labels:
            continue
        lost = _lost(label, name, evidence, asked, right, live)
        now, right_now, live_now = counts[0].get(label, (0, 0.0, 0.0))
        # What it knew of older questions does not make up for what it gets wrong now.
        if not lost and live_now > FEW and right_now <= live_now / 2:
            lost = f"the label {name} is lost: {right_now:g} right where the live version has {live_now:g} of {now:g}"
        if lost:
            return lost
    for place, label in enumerate(evidence.test.labels):
        drop = _drop(evidence.test, place, gate.per_label_drop)
        if drop:
            what = "out-of-scope recall" if label == evidence.out_of_scope else f"recall of {_named(evidence, label)}"
            return f"{what} falls by {drop}"
    return ""


def _lost(label: str, name: str, evidence: Evidence, asked: float, right: float, live: float) -> str:
    """asked, right, live: texts of the label, and how many of them the candidate and the live version have right"""
    shown, shown_right = evidence.shown.get(label, (0, 0.0))
    denied = live <= FEW and shown >= ENOUGH and shown_right >= shown / 2
    if not asked and not shown:
        return (
            f"nothing shows whether it knows the label {name}: no test row and no example; add questions to the plan's"
            " `examples`, or look yourself and add it to gate.approved_labels, then `headrace trigger`"
        )
    if not right + shown_right:
        trained = evidence.trained.get(label, 0)
        return f"the label {name} is lost: none right of {asked + shown:g}, {trained} training rows"
    if live and right <= live / 2 and not denied:
        return f"the label {name} is lost: {right:g} right where the live version has {live:g} of {asked:g}"
    if not asked and shown_right < shown / 2:
        return f"the label {name} is lost: {shown_right:g} right of {shown} validation rows and examples"
    if not evidence.trained.get(label, 0) and right + shown_right < (asked + shown) / 2:
        return (
            f"the label {name} has no training row, and {right + shown_right:g} of {asked + shown:g} are right; label"
            " some, or look yourself and add it to gate.approved_labels, then `headrace trigger`"
        )
    return ""


def _named(evidence: Evidence, label: str) -> str:
    return evidence.names.get(label, label)


def _counted(outcomes: Outcomes) -> dict[str, tuple[float, float, float]]:
    """Texts of each label, and how many the candidate and the live version have right."""
    found = (outcomes.counts(), outcomes.by_label(outcomes.candidate), outcomes.by_label(outcomes.live))
    return dict(zip(outcomes.labels, zip(*(one.tolist() for one in found), strict=True), strict=True))


def _drop(outcomes: Outcomes, label: int | None, limit: float) -> str:
    """The drop in words where it is beyond the limit and beyond chance, else empty. label: None for all of them"""
    apart = outcomes.live - outcomes.candidate
    if label is not None:
        apart = apart[outcomes.label == label]
    fallen = float(apart.mean()) if len(apart) else 0.0
    if fallen <= limit:
        return ""
    pairs = outcomes.pairs(label)
    if mcnemar(Pairs(pairs.n, pairs.lost, pairs.gained)) >= CHANCE:
        return ""
    return (
        f"{100 * fallen:.1f} points ({pairs.lost} lost, {pairs.gained} gained of {pairs.n}), more than {100 * limit:g}"
    )
