"""May the chosen candidate serve? A pure function of the evidence, and one sentence with the numbers.

    passed     better: its mean score is above the live version's
               or non-inferior and cheaper: cost at the task's traffic, or p95 where both were timed on the same path,
               lower by at least `cheaper_by`, and its mean score above the
               live version's less the margin, and above the reference version's less the margin, where there is one.
               The reference is the last version that was promoted as better, so margins do not add up over promotions
    vetoed     would pass, but a label, its price, its calibration or the older test rows forbid it
    undecided  not proven, and could still be with a bounded number of rows more (`rows_to_decide`): the same candidate
               is looked at again when they are there, which costs nothing
    failed     not proven, and would not be

Each claim is proven at its share of the plan's alpha for the number-th candidate (statistics.spent, gate.proof).
Of a failed one `rows_to_decide` says at how many test rows the next candidate would probably pass with the same
difference; the monitor waits for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

from headrace.plan import Gate
from headrace.statistics.calibration import ece
from headrace.statistics.paired import spent
from trainer.gate.evidence import Evidence, Verdict
from trainer.gate.outcomes import Outcomes
from trainer.gate.proof import Proof, proof
from trainer.gate.vetoes import dearer, veto

MAX_TIMES = 4
"""At this many times the rows another attempt is worth a look whatever the last one showed: its candidate learns from
as many times the labels."""

UNKNOWN_COST = "the live version's cost is not known"
APART = "p95 is not compared: the live version's is production's, the candidate's of one process"

Route = tuple[tuple[Proof, float], ...]
"""Claims that have to be proven together, each with its level."""


def decide(evidence: Evidence, gate: Gate) -> Verdict:
    """The same evidence gives the same verdict."""
    test, planned = evidence.test, gate.planned_rows
    better = proof(test, test.live, 0.0, planned)
    near = [proof(test, test.live, gate.margin, planned)]
    if test.reference is not None:
        near.append(proof(test, test.reference, gate.margin, planned))
    saving = _saving(evidence)
    cheaper = max(saving.values(), default=0.0) >= gate.cheaper_by

    def routes(number: int) -> list[Route]:
        alpha, slack = spent(gate.alpha, number), spent(gate.margin_alpha, number)
        as_better: list[Route] = [] if dearer(evidence, gate.max_cost_ratio) else [((better, alpha),)]
        return as_better + ([tuple((claim, slack) for claim in near)] if cheaper else [])

    alpha, slack = spent(gate.alpha, evidence.number), spent(gate.margin_alpha, evidence.number)
    error = ece(evidence.confidence, test.candidate)
    figures = _figures(evidence, gate, better, near) | {"alpha": alpha, "saving": saving, "ece": error}
    score = _score(test, better)
    if better.p <= alpha:
        known = "" if "cost" in saving else f"; {UNKNOWN_COST}"
        passed = f"better than the live version: {score}, p = {better.p:.2g} at level {alpha:.2g}{known}"
    elif cheaper and all(claim.p <= slack for claim in near):
        passed = f"non-inferior and cheaper: {score}, {_within(near, slack)}; {_savings(saving, evidence)}"
    else:
        most = max(MAX_TIMES * test.n, planned)
        why = _why_not(score, better, near, alpha, slack, gate, _savings(saving, evidence))
        if any(_needs(route, optimistic=True) <= most for route in routes(evidence.number)):
            rows = _bounded(min(map(_needs, routes(evidence.number))), test.n, most)
            reason = f"not enough evidence yet: {why}; {rows - test.n} more test rows would probably decide"
            return Verdict("undecided", reason, figures | {"rows_to_decide": rows})
        anew = (max(claim.needs_anew(level) for claim, level in route) for route in routes(evidence.number + 1))
        rows = _bounded(min(anew, default=inf), test.n, MAX_TIMES * test.n)
        return Verdict("failed", why, figures | {"rows_to_decide": rows})
    figures["rows_to_decide"] = test.n
    forbidden = veto(evidence, gate, error)
    return (
        Verdict("vetoed", f"{forbidden}, although {passed}", figures)
        if forbidden
        else Verdict("passed", passed, figures)
    )


def _needs(route: Route, optimistic: bool = False) -> float:
    return max(claim.needs(level, optimistic) for claim, level in route)


def _bounded(rows: float, n: int, most: int) -> int:
    return int(min(max(rows, n + 1), most))


def _why_not(score: str, better: Proof, near: list[Proof], alpha: float, slack: float, gate: Gate, savings: str) -> str:
    margin = f"the margin of {100 * gate.margin:g} points"
    if near[0].p > slack:
        return f"not proven better (p = {better.p:.2g}, needs {alpha:.2g}) nor within {margin} of the live version" + (
            f" (p = {near[0].p:.2g}, needs {slack:.2g}): {score}"
        )
    if near[-1].p > slack:
        return (
            f"as good as the live version ({score}), but not proven within {margin} of the reference version:"
            f" {100 * near[-1].difference:+.1f} points, p = {near[-1].p:.2g}, needs {slack:.2g}"
        )
    return (
        f"as good ({score}, {_within(near, slack)}), but neither better (p = {better.p:.2g}, needs {alpha:.2g}) nor"
        + (f" cheaper by {gate.cheaper_by:.0%}: {savings}")
    )


def _within(near: list[Proof], slack: float) -> str:
    what = "live and reference version" if len(near) > 1 else "live version"
    p = max(claim.p for claim in near)
    return f"within {100 * near[0].margin:g} points of the {what}, p = {p:.2g} at level {slack:.2g}"


def _score(test: Outcomes, better: Proof) -> str:
    found = test.pairs()
    points = (
        ""
        if test.independent
        else f" ({100 * better.difference:+.1f} points over {int(test.cluster.max()) + 1} clusters)"
    )
    return f"{found.gained} gained and {found.lost} lost on {found.n} rows{points}"


def _figures(evidence: Evidence, gate: Gate, better: Proof, near: list[Proof]) -> dict[str, Any]:
    test, found = evidence.test, evidence.test.pairs()
    figures: dict[str, Any] = {
        "n": test.n,
        "clusters": int(test.cluster.max()) + 1 if test.n else 0,
        "independent": test.independent,
        "correct": float(test.candidate.sum()),
        "gained": found.gained,
        "lost": found.lost,
        "difference": better.difference,
        "p_value": better.p,
        "rows_when_proven": better.rows,
        "margin": gate.margin,
        "p_margin": near[0].p,
        "number": evidence.number,
        "recall": _recalls(test),
    }
    if test.reference is not None:
        figures["reference"] = {
            "score": float(test.reference.mean()) if test.n else 0.0,
            "difference": near[-1].difference,
            "p_margin": near[-1].p,
        }
    return figures


def _saving(evidence: Evidence) -> dict[str, float]:
    """Share saved of the live version's cost and p95; what is not known, or not timed on one path, is not there."""
    mine, live = evidence.candidate, evidence.live
    named = [("cost", mine.cost_per_1k, live.cost_per_1k)]
    if mine.path == live.path:
        named.append(("p95", mine.p95_ms, live.p95_ms))
    return {name: 1 - own / other for name, own, other in named if other > 0 and own > 0}


def _savings(saving: Mapping[str, float], evidence: Evidence) -> str:
    words = [f"{name} {abs(share):.1%} {'lower' if share >= 0 else 'higher'}" for name, share in saving.items()]
    apart = f"; {APART}" if evidence.candidate.path != evidence.live.path else ""
    return (" and ".join(words) or UNKNOWN_COST) + apart


def _recalls(test: Outcomes) -> dict[str, dict[str, float]]:
    """Of each label with test rows: texts, the candidate's recall, the live version's."""
    found = zip(
        test.labels, test.counts().tolist(), test.by_label(test.candidate), test.by_label(test.live), strict=True
    )
    return {
        label: {"n": n, "candidate": float(mine / n), "live": float(live / n)} for label, n, mine, live in found if n
    }
