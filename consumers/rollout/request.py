"""Which rollout requests are obeyed: a pure decision, with the reason of a refusal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from consumers.rollout.table import Event
from headrace.contract.control import Job, Promotion, RequestKind, RolloutRequest, Served, Step, Waits
from headrace.plan.sections import Mode

EVENTS = {
    RequestKind.PROMOTE: Event.PROMOTE,
    RequestKind.ROLL_BACK: Event.ROLL_BACK,
    RequestKind.ABORT: Event.ABORT,
    RequestKind.APPROVE: Event.HOLD,
    RequestKind.PIN: Event.PIN,
    RequestKind.DIVERT: Event.DIVERT,
}


@dataclass(frozen=True, slots=True)
class RequestOutcome:
    """The event for the table, None where the request is refused, and why.

    pins: all of them, by tenant, where one changes
    """

    event: Event | None
    reason: str
    pins: Mapping[str, Served] | None = None


def answer_to(
    request: RolloutRequest,
    promotion: Promotion,
    jobs: Iterable[Job],
    fault: str = "",
    *,
    mode: Mode = "auto",
    frozen: str = "",
    incumbent: str = "",
) -> RequestOutcome | None:
    """What the request leads to; None where it was answered before.

    jobs: every job there has been
    fault: what is wrong with the candidate's artifact, in one sentence
    mode: the task's, which stops what no person asked for
    frozen: that no step forward may begin, in words
    incumbent: the plan's, which each gateway has loaded
    """
    if request.request_id == promotion.request_id:
        return None
    against = {
        RequestKind.PROMOTE: _against_promoting,
        RequestKind.ROLL_BACK: _against_rolling_back,
        RequestKind.ABORT: _against_aborting,
        RequestKind.APPROVE: lambda *_: frozen or _against_approving(request, promotion),
        RequestKind.PIN: lambda *_: _against_pinning(request, promotion, incumbent),
        RequestKind.DIVERT: lambda *_: _against_diverting(request, promotion),
    }[request.kind](request, promotion, jobs)
    if not against and not fault and request.kind is RequestKind.PROMOTE and not request.by_hand and mode != "auto":
        assert request.candidate is not None, "a request without one is refused"
        command = f"`headrace promote {request.task} {request.candidate.version}`"
        if mode == "propose" and promotion.step is Step.STEADY:
            return RequestOutcome(Event.HOLD, f"{request.candidate.version} is recommended, start it with {command}")
        against = f"the plan's mode for {request.task} is {mode}: start it with {command}"
    if against or fault:
        return RequestOutcome(None, f"refused to {request.kind.replace('_', ' ')} for {request.by}: {against or fault}")
    reason = f"{request.by}: {request.reason}" if request.reason else f"asked for by {request.by}"
    if request.kind is RequestKind.PROMOTE and (ousted := promotion.candidate):
        reason = f"{reason} (takes the place of {ousted.version})"
    pins = _pinned(request, promotion, incumbent) if request.kind is RequestKind.PIN else None
    return RequestOutcome(EVENTS[request.kind], reason, pins)


def begins(request: RolloutRequest) -> bool:
    """Whether the promotion names this request from now on, and not the one that began the rollout under way."""
    return request.kind not in (RequestKind.APPROVE, RequestKind.PIN, RequestKind.DIVERT)


def _against_promoting(request: RolloutRequest, promotion: Promotion, jobs: Iterable[Job]) -> str:
    candidate = request.candidate
    if candidate is None:
        return "the request names no candidate"
    if request.generation > promotion.generation:
        return f"generation {request.generation} has not been yet; this is {promotion.generation}"
    if candidate.version == promotion.live.version:
        return f"{candidate.version} serves already"
    if (running := promotion.candidate) and running.version == candidate.version:
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
    if compared != promotion.live.version and not request.by_hand:
        return f"{candidate.version} was compared with {compared}, and {promotion.live.version} serves now"
    return ""


def _against_rolling_back(request: RolloutRequest, promotion: Promotion, jobs: Iterable[Job]) -> str:
    # A person rolls back what they see: it may have gone by itself meanwhile.
    running = promotion.candidate
    out = running or promotion.live
    if request.candidate and request.candidate.version != out.version:
        now = "is being rolled out" if running else "serves"
        return f"it was meant for {request.candidate.version}, and {out.version} {now}"
    # A step or a refusal since then changes nothing about that; another live version does. Generation 0 is "whatever
    # it is".
    older = 0 < request.generation < promotion.generation
    if older and promotion.step is Step.STEADY and request.at < promotion.since:
        return f"it was meant for generation {request.generation}; since then {promotion.live.version} became live"
    if promotion.step is Step.STEADY and promotion.previous is None:
        return f"there is no version before {promotion.live.version} to go back to"
    return ""


def _against_aborting(request: RolloutRequest, promotion: Promotion, jobs: Iterable[Job]) -> str:
    running = promotion.candidate
    if running is None:
        return "no rollout is under way"
    # A step may have passed since the gateway looked; the candidate is the same.
    if request.candidate is not None and request.candidate.version != running.version:
        return f"it was meant for {request.candidate.version}, and {running.version} is being rolled out"
    if request.candidate is None and request.generation != promotion.generation:
        return f"it was meant for generation {request.generation}, and this is {promotion.generation}"
    return ""


def _against_approving(request: RolloutRequest, promotion: Promotion) -> str:
    running = promotion.candidate
    if running is None:
        return "no rollout is under way"
    if request.candidate and request.candidate.version != running.version:
        return f"it was meant for {request.candidate.version}, and {running.version} is being rolled out"
    if promotion.waits is not Waits.APPROVAL:
        return f"the step {promotion.step} does not wait for a person: {promotion.reason}"
    return ""


def _loaded(promotion: Promotion, incumbent: str) -> Mapping[str, Served]:
    """What every gateway has loaded, by version."""
    return {incumbent: Served(version=incumbent)} | promotion.versions


def _against_pinning(request: RolloutRequest, promotion: Promotion, incumbent: str) -> str:
    if not request.tenant:
        return "the request names no tenant"
    pinned = promotion.pins.get(request.tenant)
    if request.candidate is None:
        return "" if pinned else f"{request.tenant} is not pinned"
    version, loaded = request.candidate.version, _loaded(promotion, incumbent)
    if version not in loaded:
        return f"{version} is not loaded; there are {', '.join(sorted(loaded))}"
    return f"{request.tenant} is pinned to {version} already" if pinned and pinned.version == version else ""


def _pinned(request: RolloutRequest, promotion: Promotion, incumbent: str) -> Mapping[str, Served]:
    others = {tenant: served for tenant, served in promotion.pins.items() if tenant != request.tenant}
    if request.candidate is None:
        return others
    return others | {request.tenant: _loaded(promotion, incumbent)[request.candidate.version]}


def _against_diverting(request: RolloutRequest, promotion: Promotion) -> str:
    if not promotion.live.artifact:
        return f"{promotion.live.version} serves, and is the incumbent itself"
    if request.share == promotion.incumbent_share:
        return f"the incumbent answers {request.share:.1%} of the sessions already"
    return ""
