"""May a rollout go on? A pure function of the evidence and the plan's bar."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import exp, lgamma, log, log1p

from headrace.contract.control import Step
from headrace.plan import Rollout
from headrace.statistics.intervals import wilson_upper
from headrace.statistics.sequences import above

# One-sided, of the live version's share of errors.
CONFIDENCE = 0.95
# The gateway's breaker asks the same of its own requests alone, at the same level.
FAILURES_ALPHA = 0.001
# Smaller, because the labels are looked at again after each one.
ACCURACY_ALPHA = 0.01
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


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a step has shown so far.

    age_s: since it began, wall clock
    living: replicas with a recent heartbeat; ready: those that acknowledged this generation and loaded the candidate
    complaint: why the first replica that cannot load the candidate cannot
    requests, failed: asked of the candidate at all replicas, and not answered by it, whoever answered instead
    traffic: None where the warehouse does not say
    """

    age_s: float
    living: int = 0
    ready: int = 0
    complaint: str = ""
    requests: int = 0
    failed: int = 0
    traffic: Traffic | None = None


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
    A dead warehouse holds a rollout, and nothing else does so without end: a replica's complaint and failed requests
    need no warehouse, and a step without enough traffic is abandoned.
    """
    against = _against(evidence, bar)
    if against:
        return Verdict(Move.ROLL_BACK, against)
    waiting_for = _waiting_for(step, evidence, bar)
    if not waiting_for:
        return Verdict(Move.ADVANCE, _shown(step, evidence))
    if evidence.age_s > bar.step_timeout_s and (evidence.traffic is not None or evidence.ready < evidence.living):
        return Verdict(Move.ROLL_BACK, f"abandoned after {bar.step_timeout_s:g} s, waiting for {waiting_for}")
    return Verdict(Move.HOLD, f"waiting for {waiting_for}")


def _against(evidence: Evidence, bar: Rollout) -> str:
    """Why the candidate must go; empty where nothing speaks against it."""
    if evidence.complaint:
        return f"a replica reports: {evidence.complaint}"
    if above(evidence.failed, evidence.requests, bar.max_error_share, FAILURES_ALPHA):
        return f"{evidence.failed} of {evidence.requests} requests failed on it, more than {bar.max_error_share:.1%}"
    traffic = evidence.traffic
    if traffic is None:
        return ""
    if traffic.requests >= MIN_FOR_P95 and traffic.p95_ms > bar.max_p95_ms:
        return f"p95 is {traffic.p95_ms:.0f} ms over {traffic.requests} requests, more than {bar.max_p95_ms:g}"
    if _is_worse(traffic, bar.max_accuracy_drop):
        return (
            f"{traffic.errors} of {traffic.labelled} audited answers were wrong where the live version had "
            f"{traffic.live_errors} of {traffic.live_labelled}: more than {bar.max_accuracy_drop:.0%} worse"
        )
    return ""


def _waiting_for(step: Step, evidence: Evidence, bar: Rollout) -> str:
    if not evidence.living:
        return "a living replica"
    if evidence.ready < evidence.living:
        return f"{evidence.living - evidence.ready} of {evidence.living} replicas to be ready"
    wanted = bar.shadow_requests if step is Step.SHADOW else bar.canary_requests
    if not wanted:
        return ""
    if evidence.traffic is None:
        return "the warehouse"
    if evidence.traffic.requests < wanted:
        return f"{wanted - evidence.traffic.requests} of {wanted} requests"
    # What ends a step early is beyond chance; at the end of the step the share itself must hold.
    if evidence.failed > bar.max_error_share * evidence.requests:
        return f"the share of failed requests to fall, {evidence.failed} of {evidence.requests}"
    return ""


def _is_worse(traffic: Traffic, drop: float) -> bool:
    """Whether so many errors are beyond chance for a candidate that is just `drop` less accurate than the live version.

    Exact binomial tail (Clopper and Pearson, Biometrika 26, 1934), because the first few labels decide as well; the
    live version's own share of errors is taken at its upper bound.
    """
    if not traffic.errors or not traffic.live_labelled:
        return False
    share = wilson_upper(traffic.live_errors, traffic.live_labelled, CONFIDENCE) + drop
    return share < 1 and _tail(traffic.errors, traffic.labelled, share) < ACCURACY_ALPHA


def _tail(least: int, n: int, p: float) -> float:
    """The probability of `least` or more among n."""

    def log_term(k: int) -> float:
        return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(p) + (n - k) * log1p(-p)

    return sum(exp(log_term(k)) for k in range(least, n + 1))


def _shown(step: Step, evidence: Evidence) -> str:
    """The evidence in one sentence, for the record."""
    traffic = evidence.traffic or Traffic()
    parts = [f"{evidence.ready} replicas ready", f"{traffic.requests} requests, p95 {traffic.p95_ms:.0f} ms"]
    if evidence.failed:
        parts.append(f"{evidence.failed} of {evidence.requests} failed")
    if step is Step.SHADOW and traffic.compared:
        share = traffic.disagreements / traffic.compared
        parts.append(f"{traffic.disagreements} of {traffic.compared} answers ({share:.1%}) differ from the live one")
    if traffic.labelled:
        parts.append(
            f"{traffic.errors} of {traffic.labelled} audited answers wrong "
            f"(live: {traffic.live_errors} of {traffic.live_labelled})"
        )
    return "; ".join(parts)
