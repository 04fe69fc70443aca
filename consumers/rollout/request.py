"""Which rollout requests are obeyed: a pure decision, with the reason of a refusal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from consumers.rollout.table import Event, candidate_of
from headrace.contract.control import Job, Promotion, RequestKind, RolloutRequest, Step


@dataclass(frozen=True, slots=True)
class RequestOutcome:
    """The event for the table, None where the request is refused, and why."""

    event: Event | None
    reason: str


def answer_to(
    request: RolloutRequest, promotion: Promotion, jobs: Iterable[Job], fault: str = ""
) -> RequestOutcome | None:
    """What the request leads to; None where it was answered before.

    jobs: every job there has been
    fault: what is wrong with the candidate's artifact, in one sentence
    """
    if request.request_id == promotion.request_id:
        return None
    against = {
        RequestKind.PROMOTE: _against_promoting,
        RequestKind.ROLL_BACK: _against_rolling_back,
        RequestKind.ABORT: _against_aborting,
    }[request.kind](request, promotion, jobs)
    if against or fault:
        return RequestOutcome(None, f"refused to {request.kind.replace('_', ' ')} for {request.by}: {against or fault}")
    reason = f"{request.by}: {request.reason}" if request.reason else f"asked for by {request.by}"
    if request.kind is RequestKind.PROMOTE and (ousted := candidate_of(promotion)):
        reason = f"{reason} (takes the place of {ousted.version})"
    return RequestOutcome(Event(request.kind.value), reason)


def _against_promoting(request: RolloutRequest, promotion: Promotion, jobs: Iterable[Job]) -> str:
    candidate = request.candidate
    if candidate is None:
        return "the request names no candidate"
    if request.generation > promotion.generation:
        return f"generation {request.generation} has not been yet; this is {promotion.generation}"
    if candidate.version == promotion.live.version:
        return f"{candidate.version} serves already"
    if (running := candidate_of(promotion)) and running.version == candidate.version:
        return f"{candidate.version} is being rolled out already"
    if candidate.job_id is None:
        return ""
    job = next((job for job in jobs if job.job_id == candidate.job_id), None)
    if job is None:
        return f"there is no job {candidate.job_id}"
    if job.task != request.task or job.version != candidate.version:
        return f"job {candidate.job_id} publishes {job.version} for {job.task}, not {candidate.version}"
    if job.attempt != candidate.attempt:
        return f"{candidate.version} is of attempt {candidate.attempt}, and the job's current attempt is {job.attempt}"
    compared = job.result.get("against", promotion.live.version)
    if compared != promotion.live.version:
        return f"{candidate.version} was compared with {compared}, and {promotion.live.version} serves now"
    return ""


def _against_rolling_back(request: RolloutRequest, promotion: Promotion, jobs: Iterable[Job]) -> str:
    # A person rolls back what they see. A step or a refusal since then changes nothing about that; another live
    # version does. Generation 0 is "whatever it is".
    older = 0 < request.generation < promotion.generation
    if older and promotion.step is Step.STEADY and request.at < promotion.since:
        return f"it was meant for generation {request.generation}; since then {promotion.live.version} became live"
    if promotion.step is Step.STEADY and promotion.previous is None:
        return f"there is no version before {promotion.live.version} to go back to"
    return ""


def _against_aborting(request: RolloutRequest, promotion: Promotion, jobs: Iterable[Job]) -> str:
    running = candidate_of(promotion)
    if running is None:
        return "no rollout is under way"
    # A step may have passed since the gateway looked; the candidate is the same.
    if request.candidate is not None and request.candidate.version != running.version:
        return f"it was meant for {request.candidate.version}, and {running.version} is being rolled out"
    if request.candidate is None and request.generation != promotion.generation:
        return f"it was meant for generation {request.generation}, and this is {promotion.generation}"
    return ""
