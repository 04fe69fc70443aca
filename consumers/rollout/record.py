"""What the log of actions says of a change of a promotion."""

from __future__ import annotations

from datetime import datetime

from consumers.rollout.table import Event
from headrace.access.actions import origin
from headrace.contract import ids
from headrace.contract.actions import Action, ActionKind, Via
from headrace.contract.control import Promotion, RequestKind, RolloutRequest

BY = "rollout"
KINDS = {
    Event.PROMOTE: ActionKind.PROMOTION,
    Event.ADVANCE: ActionKind.PROMOTION,
    Event.ROLL_BACK: ActionKind.ROLLBACK,
    Event.ABORT: ActionKind.ABORT,
    Event.HOLD: ActionKind.PROMOTION,
    Event.PIN: ActionKind.PROMOTION,
    Event.DIVERT: ActionKind.ROLLBACK,
}
REFUSED = {
    RequestKind.PROMOTE: ActionKind.PROMOTION,
    RequestKind.ROLL_BACK: ActionKind.ROLLBACK,
    RequestKind.ABORT: ActionKind.ABORT,
    RequestKind.APPROVE: ActionKind.PROMOTION,
    RequestKind.PIN: ActionKind.PROMOTION,
    RequestKind.DIVERT: ActionKind.ROLLBACK,
}


def seeded(promotion: Promotion) -> Action:
    """A task's first promotion, by rollout itself."""
    return _action(ActionKind.PROMOTION, BY, promotion, {"to": promotion.live.version})


def changed(
    before: Promotion,
    after: Promotion,
    event: Event,
    request: RolloutRequest | None = None,
    now: datetime | None = None,
) -> Action:
    """What led from one generation to the next: by whoever asked, or by rollout itself on the evidence.

    The id rests on the generation: the action of a promotion that is written twice is one row.
    now: when it was done, where the promotion keeps the time of its step
    """
    detail: dict[str, object] = {"step": f"{after.step}"}
    if after.live.version != before.live.version:
        detail |= {"from": before.live.version, "to": after.live.version}
    if candidate := after.candidate or before.candidate:
        detail["candidate"] = candidate.version
    if request and request.tenant:
        pinned = after.pins.get(request.tenant)
        detail |= {"tenant": request.tenant, "pinned": pinned.version if pinned else None}
    if after.incumbent_share != before.incumbent_share:
        detail["incumbent_share"] = after.incumbent_share or 0.0
    ended = event is Event.DIVERT and not after.incumbent_share
    kind = ActionKind.PROMOTION if ended else KINDS[event]
    done = _action(kind, request.by if request else BY, after, detail)
    if request:
        done.detail["request_id"] = str(request.request_id)
    return done.model_copy(update={"at": now}) if now else done


def refused(request: RolloutRequest, promotion: Promotion, reason: str) -> Action:
    """The answer to a request that changes nothing.

    The id rests on the request: the action of one that is refused twice is one row.
    """
    return Action(
        action_id=ids.derived(request.at, "refused", request.task, request.request_id),
        at=request.at,
        by=request.by,
        via=Via.PART,
        origin=origin(),
        kind=REFUSED[request.kind],
        task=request.task,
        subject=(request.candidate or promotion.live).version,
        detail={
            "step": f"{promotion.step}",
            "generation": promotion.generation,
            "reason": reason,
            "request_id": str(request.request_id),
            "result": "refused",
        },
    )


def _action(kind: ActionKind, by: str, promotion: Promotion, detail: dict[str, object]) -> Action:
    candidate = promotion.candidate
    detail |= {"generation": promotion.generation, "reason": promotion.reason}
    if promotion.request_id is not None:
        detail["request_id"] = str(promotion.request_id)
    return Action(
        action_id=ids.derived(promotion.at, "promotion", promotion.task, promotion.generation),
        at=promotion.at,
        by=by,
        via=Via.PART,
        origin=origin(),
        kind=kind,
        task=promotion.task,
        subject=(candidate or promotion.live).version,
        detail=detail,
    )
