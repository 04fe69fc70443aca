"""May a rollout go on? A pure function of the evidence and the plan's bar."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import inf

from headrace.contract.control import Step
from headrace.plan import Rollout
from headrace.statistics.disagreements import Disagreements
from headrace.statistics.sequences import bounds, fails_too_often

# At any time within a step: that labels roll back a candidate which is worse by no more than is tolerated; that they
# let one go on which is worse by max_accuracy_drop; that more answers seem to differ than the errors of both explain.
WORSE_ALPHA = 0.003
ADVANCE_ALPHA = 0.02
EXPLAINED_ALPHA = 0.001
# Replicas get so long to acknowledge a generation, whatever it says, before their silence can end a step.
ACKNOWLEDGED_WITHIN_S = 60.0
# A 95th percentile of fewer answers is one slow answer.
MIN_FOR_P95 = 40


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the warehouse has of one step.

    requests: answered by the candidate; live_requests: by the live version meanwhile
    p95_ms, live_p95_ms: until the last token, 95th percentile, milliseconds
    labelled, errors: base-audit labels of the candidate's answers, and how many of them were wrong
    live_labelled, live_errors: the same of the live version
    compared, disagreements: shadow answers beside the live one, and how many differ from it
    gained, lost, neither: of the differing ones that experts labelled blind: which of the two was right
    """

    requests: int = 0
    live_requests: int = 0
    p95_ms: float = 0.0
    live_p95_ms: float = 0.0
    labelled: int = 0
    errors: int = 0
    live_labelled: int = 0
    live_errors: int = 0
    compared: int = 0
    disagreements: int = 0
    gained: int = 0
    lost: int = 0
    neither: int = 0

    @property
    def pairs(self) -> Disagreements:
        return Disagreements(self.compared, self.disagreements, self.gained, self.lost, self.neither)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a step has shown so far.

    age_s: since it began, wall clock; told_s: since the last generation was written
    waits: a person or the end of a freeze window is waited for, and the evidence sufficed
    living: replicas with a recent heartbeat; ready: those that acknowledged this generation and loaded the candidate
    complaint: why the first replica that cannot load the candidate cannot
    requests, failed: asked of the candidate at all replicas, and not answered by it, also where another version did
    evaluated, evaluated_errors: test rows of the candidate's evaluation, and its errors on them
    traffic: None where the warehouse does not say
    """

    age_s: float
    living: int = 0
    ready: int = 0
    complaint: str = ""
    requests: int = 0
    failed: int = 0
    evaluated: int = 0
    evaluated_errors: int = 0
    traffic: Traffic | None = None
    told_s: float = inf
    waits: bool = False


class Move(StrEnum):
    ADVANCE = "advance"
    HOLD = "hold"
    ROLL_BACK = "roll_back"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do and why."""

    move: Move
    reason: str


def next_step(step: Step, evidence: Evidence, bar: Rollout) -> Verdict:
    """Advance, hold or roll back; the same evidence gives the same verdict.

    step: SHADOW or CANARY
    The shadow decides on accuracy, by a paired sequential test (headrace.statistics.disagreements); a canary watches
    what a shadow cannot show, and labels may only take it back. A dead warehouse holds a rollout, and nothing else does
    so without end: a replica's complaint and failed requests need no warehouse, and a step without enough traffic or
    labels is abandoned.
    """
    against = _against(step, evidence, bar)
    if against:
        return Verdict(Move.ROLL_BACK, against)
    waiting_for = _waiting_for(step, evidence, bar)
    if not waiting_for:
        return Verdict(Move.ADVANCE, _shown(step, evidence))
    told = evidence.told_s > min(ACKNOWLEDGED_WITHIN_S, bar.step_timeout_s)
    late = evidence.age_s > bar.step_timeout_s and told and not evidence.waits
    if late and (evidence.traffic is not None or evidence.ready < evidence.living):
        return Verdict(Move.ROLL_BACK, f"abandoned after {bar.step_timeout_s:g} s, waiting for {waiting_for}")
    return Verdict(Move.HOLD, f"waiting for {waiting_for}")


def watched(evidence: Evidence, bar: Rollout) -> Verdict:
    """Whether a live version may stay; the one before it, which is loaded, answers a share of its requests beside it.

    The two are compared on the same questions: a drift that hits both speaks against none.
    evidence: of the live version; its traffic's shadow is the version before
    """
    if fails_too_often(evidence.failed, evidence.requests, bar.max_error_share):
        return Verdict(Move.ROLL_BACK, _failures(evidence, bar))
    pairs = evidence.traffic.pairs if evidence.traffic else Disagreements()
    # The shadow's gain is the live version's loss.
    live = Disagreements(pairs.compared, pairs.differ, pairs.lost, pairs.gained, pairs.neither)
    if live.worse_by_more(bar.max_accuracy_drop / 2, WORSE_ALPHA):
        return Verdict(
            Move.ROLL_BACK,
            f"of {live.reviewed} reviewed answers on which it differs from the version before it lost {live.lost} and"
            f" gained {live.gained}: more than {bar.max_accuracy_drop / 2:.1%} worse",
        )
    return Verdict(Move.HOLD, "nothing speaks against it")


def _failures(evidence: Evidence, bar: Rollout) -> str:
    return f"{evidence.failed} of {evidence.requests} requests failed on it, more than {bar.max_error_share:.1%}"


def _against(step: Step, evidence: Evidence, bar: Rollout) -> str:
    """Why the candidate must go; empty where nothing speaks against it."""
    if evidence.complaint:
        return f"a replica reports: {evidence.complaint}"
    if fails_too_often(evidence.failed, evidence.requests, bar.max_error_share):
        return _failures(evidence, bar)
    traffic = evidence.traffic
    if traffic is None:
        return ""
    if traffic.requests >= MIN_FOR_P95 and traffic.p95_ms > bar.max_p95_ms:
        return f"p95 is {traffic.p95_ms:.0f} ms over {traffic.requests} requests, more than {bar.max_p95_ms:g}"
    return _worse(step, traffic, bar.max_accuracy_drop)


def _waiting_for(step: Step, evidence: Evidence, bar: Rollout) -> str:
    if not evidence.living:
        return "a living replica"
    if evidence.ready < evidence.living:
        return f"{evidence.living - evidence.ready} of {evidence.living} replicas to be ready"
    wanted = bar.shadow_requests if step is Step.SHADOW else bar.canary_requests
    labels = step is Step.SHADOW and bar.needs_labels
    if not wanted and not labels:
        return ""
    if evidence.traffic is None:
        return "the warehouse"
    if evidence.traffic.requests < wanted:
        return f"{wanted - evidence.traffic.requests} of {wanted} requests"
    # What ends a step early is beyond chance; at the end of the step the share itself must hold.
    if evidence.failed > bar.max_error_share * evidence.requests:
        return f"the share of failed requests to fall, {evidence.failed} of {evidence.requests}"
    return _undecided(evidence, evidence.traffic, bar) if labels else ""


def _worse(step: Step, traffic: Traffic, drop: float) -> str:
    """What the labels show against the candidate, in words; empty where they do not."""
    pairs = traffic.pairs
    if step is Step.SHADOW and pairs.worse_by_more(drop / 2, WORSE_ALPHA):
        return (
            f"of {pairs.reviewed} reviewed answers on which it differs from the live version it lost {pairs.lost} and"
            f" gained {pairs.gained}: more than {drop / 2:.1%} worse"
        )
    low, _ = bounds(traffic.errors, traffic.labelled, WORSE_ALPHA / 2)
    _, high = bounds(traffic.live_errors, traffic.live_labelled, WORSE_ALPHA / 2)
    if low > high + drop / 2:
        return (
            f"{traffic.errors} of {traffic.labelled} audited answers were wrong where the live version had "
            f"{traffic.live_errors} of {traffic.live_labelled}: more than {drop / 2:.1%} worse"
        )
    return ""


def _undecided(evidence: Evidence, traffic: Traffic, bar: Rollout) -> str:
    """Which labels a shadow waits for, in words; empty where they have decided for the candidate."""
    pairs = traffic.pairs
    if evidence.evaluated:
        _, own = bounds(evidence.evaluated_errors, evidence.evaluated, EXPLAINED_ALPHA)
        _, live = bounds(traffic.live_errors, traffic.live_labelled, EXPLAINED_ALPHA)
        low, _ = bounds(pairs.differ, pairs.compared, EXPLAINED_ALPHA)
        # Where two differ, one of them is wrong.
        if low > own + live:
            return (
                f"an explanation: {pairs.differ} of {pairs.compared} answers differ from the live one, more than the"
                f" candidate's errors at its evaluation ({own:.1%} at most) and the live version's ({live:.1%}) can be"
            )
    if not pairs.worse_by_less(bar.max_accuracy_drop, ADVANCE_ALPHA):
        return (
            f"labels: {pairs.differ} of {pairs.compared} answers differ from the live one, and of {pairs.reviewed}"
            f" reviewed it gained {pairs.gained} and lost {pairs.lost}, which does not show that it is less than"
            f" {bar.max_accuracy_drop:.1%} worse"
        )
    return ""


def _shown(step: Step, evidence: Evidence) -> str:
    """The evidence in one sentence, for the record."""
    traffic = evidence.traffic or Traffic()
    parts = [f"{evidence.ready} replicas ready", f"{traffic.requests} requests, p95 {traffic.p95_ms:.0f} ms"]
    if evidence.failed:
        parts.append(f"{evidence.failed} of {evidence.requests} failed")
    if step is Step.SHADOW and traffic.compared:
        share = traffic.disagreements / traffic.compared
        parts.append(f"{traffic.disagreements} of {traffic.compared} answers ({share:.1%}) differ from the live one")
        if reviewed := traffic.pairs.reviewed:
            parts.append(
                f"of {reviewed} of these that were reviewed it gained {traffic.gained} and lost {traffic.lost}"
            )
    if traffic.labelled:
        parts.append(
            f"{traffic.errors} of {traffic.labelled} audited answers wrong "
            f"(live: {traffic.live_errors} of {traffic.live_labelled})"
        )
    return "; ".join(parts)
