"""May the chosen candidate serve? A pure function of the test rows, and one sentence with the numbers.

    passed  better:        exact one-sided McNemar p < alpha
            or non-inferior and cheaper: cost or p95 lower by at least `cheaper_by`, and the Tango bound of the
            difference to the live version above -margin, and the lower bound of the accuracy above the plan's
            fixed reference less the margin, where it has one: margins must not add up over promotions
    vetoed  would pass, but one label's recall, out of scope or not, the calibration or the older test rows forbid it
    failed  neither; says how many rows the margin would need where rows are what is missing

alpha is the plan's, spent over the looks (statistics.spent). Of a failed one the figures say at how many test rows the
next look would probably pass a candidate with the same difference (`rows_to_decide`); the monitor waits for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headrace.plan import Gate
from headrace.statistics.intervals import wilson
from headrace.statistics.paired import (
    Pairs,
    calibration_error,
    mcnemar,
    pairs,
    rows_needed,
    rows_to_decide,
    spent,
    tango_lower,
)
from trainer.evaluate.measure import Price

CHANCE = 0.05
"""A veto asks that a drop be larger than this one-sided level explains."""
MAX_TIMES = 4
"""At this many times the rows another attempt is worth a look whatever the last one showed: its candidate learns from
as many times the labels."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Labels of the same rows: the truth, the candidate's, the live version's."""

    truth: Sequence[str]
    candidate: Sequence[str]
    live: Sequence[str]

    def pairs(self, label: str = "") -> Pairs:
        """Paired outcomes, of one label's rows or of all."""
        rows = [row for row in zip(self.truth, self.candidate, self.live, strict=True) if label in ("", row[0])]
        return pairs([mine == truth for truth, mine, _ in rows], [live == truth for truth, _, live in rows])

    def correct(self) -> int:
        """How many the candidate has right."""
        return sum(mine == truth for truth, mine in zip(self.truth, self.candidate, strict=True))


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that the gate looks at.

    confidence: the candidate's probability of its own answer, one a test row
    look: this is the look-th data set on which a candidate meets its test rows since the live version won
    names: the labels' texts by their ids, for what people read
    out_of_scope: the label that means that no expert is meant; empty where the plan names none
    """

    test: Answers
    confidence: Sequence[float]
    forget: Answers
    candidate: Price
    live: Price
    names: Mapping[str, str]
    out_of_scope: str
    look: int = 1


@dataclass(frozen=True, slots=True)
class Verdict:
    """passed, failed or vetoed, one sentence why, and the figures behind it."""

    gate: str
    reason: str
    figures: dict[str, Any] = field(default_factory=dict)


def decide(evidence: Evidence, gate: Gate) -> Verdict:
    """The same evidence gives the same verdict."""
    alpha = spent(gate.alpha, evidence.look)
    test = evidence.test.pairs()
    p_value, bound = mcnemar(test), tango_lower(test, alpha)
    correct, saving = evidence.test.correct(), _saving(evidence)
    floor = wilson(correct, test.n, 1 - 2 * alpha)[0]
    error = calibration_error(
        evidence.confidence,
        [mine == truth for truth, mine in zip(evidence.test.truth, evidence.test.candidate, strict=True)],
    )
    needed = rows_needed(gate.margin, alpha, max((test.gained + test.lost) / max(test.n, 1), 0.01))
    figures: dict[str, Any] = {
        "n": test.n,
        "correct": correct,
        "gained": test.gained,
        "lost": test.lost,
        "difference": test.difference,
        "p_value": p_value,
        "tango_lower": bound,
        "alpha": alpha,
        "look": evidence.look,
        "margin": gate.margin,
        "margin_needs_rows": needed,
        "rows_to_decide": _rows_to_decide(evidence, gate, test, saving),
        "saving": saving,
        "ece": error,
        "recall": _recalls(evidence.test),
    }
    level = f"{100 * (1 - alpha):.1f} %"
    score = f"{test.gained} gained and {test.lost} lost on {test.n} rows"
    if p_value < alpha:
        passed = f"better than the live version: {score}, McNemar p = {p_value:.2g} < {alpha:.2g}"
    elif bound <= -gate.margin:
        return Verdict("failed", _not_proven(score, level, bound, gate.margin, test, needed), figures)
    elif gate.reference_accuracy > 0 and floor <= gate.reference_accuracy - gate.margin:
        reason = (
            f"not proven as good as the plan's reference: the {level} lower bound of accuracy is {floor:.3f}, "
            f"not above {gate.reference_accuracy:.3f} - {gate.margin:.3f}"
        )
        return Verdict("failed", reason, figures)
    elif max(saving.values(), default=0.0) < gate.cheaper_by:
        reason = (
            f"as good ({score}, {level} bound {bound:+.3f}), but neither better (p = {p_value:.2g}) nor cheaper by "
            f"{gate.cheaper_by:.0%}: {_savings(saving)}"
        )
        return Verdict("failed", reason, figures)
    else:
        proof = f"{level} bound {bound:+.3f} above -{gate.margin:.3f}"
        passed = f"non-inferior and cheaper: {score}, {proof}; {_savings(saving)}"
    veto = _veto(evidence, gate, error)
    return Verdict("vetoed", f"{veto}, although {passed}", figures) if veto else Verdict("passed", passed, figures)


def _rows_to_decide(evidence: Evidence, gate: Gate, test: Pairs, saving: dict[str, float]) -> int:
    """Test rows at which the next look would probably pass what was observed; MAX_TIMES as many where none would."""
    cheaper = max(saving.values(), default=0.0) >= gate.cheaper_by
    found = rows_to_decide(test, spent(gate.alpha, evidence.look + 1), gate.margin if cheaper else None)
    most = MAX_TIMES * test.n
    return most if found is None else min(max(found, test.n + 1), most)


def _not_proven(score: str, level: str, bound: float, margin: float, test: Pairs, needed: int) -> str:
    text = f"not proven non-inferior: {score}, {level} bound {bound:+.3f} is not above -{margin:.3f}"
    if test.n < needed and test.difference > -margin:
        return f"{text}; to decide a margin of {100 * margin:g} points takes about {needed} rows"
    return text


def _veto(evidence: Evidence, gate: Gate, error: float) -> str:
    """Why a candidate that would pass must not; empty where nothing forbids it."""
    for label in sorted(set(evidence.test.truth)):
        drop = _drop(evidence.test.pairs(label), gate.per_label_drop)
        if drop:
            text = evidence.names.get(label, label)
            what = "out-of-scope recall" if label == evidence.out_of_scope else f"recall of {text}"
            return f"{what} falls by {drop}"
    if error > gate.max_ece:
        return f"its confidence is off by {error:.3f} (expected calibration error), more than {gate.max_ece:.3f}"
    drop = _drop(evidence.forget.pairs(), gate.forgetting_drop)
    return f"it forgot: accuracy on older test rows falls by {drop}" if drop else ""


def _drop(pairs: Pairs, limit: float) -> str:
    """The drop in words where it is beyond the limit and beyond chance, else empty."""
    beyond_chance = mcnemar(Pairs(pairs.n, pairs.lost, pairs.gained)) < CHANCE
    if -pairs.difference <= limit or not beyond_chance:
        return ""
    return (
        f"{-100 * pairs.difference:.1f} points ({pairs.lost} lost, {pairs.gained} gained of {pairs.n}), "
        f"more than {100 * limit:g}"
    )


def _saving(evidence: Evidence) -> dict[str, float]:
    """Share saved of the live version's cost and p95; what is not known is not there."""
    named = (
        ("cost", evidence.candidate.cost_per_1k, evidence.live.cost_per_1k),
        ("p95", evidence.candidate.p95_ms, evidence.live.p95_ms),
    )
    return {name: 1 - mine / live for name, mine, live in named if live > 0 and mine > 0}


def _savings(saving: dict[str, float]) -> str:
    words = [f"{name} {abs(share):.1%} {'lower' if share >= 0 else 'higher'}" for name, share in saving.items()]
    return " and ".join(words) or "the live version's cost is not known"


def _recalls(answers: Answers) -> dict[str, dict[str, float]]:
    """Of each label: rows, the candidate's recall, the live version's."""
    out: dict[str, dict[str, float]] = {}
    for label in sorted(set(answers.truth)):
        rows = [row for row in zip(answers.truth, answers.candidate, answers.live, strict=True) if row[0] == label]
        out[label] = {
            "n": len(rows),
            "candidate": sum(mine == truth for truth, mine, _ in rows) / len(rows),
            "live": sum(live == truth for truth, _, live in rows) / len(rows),
        }
    return out
