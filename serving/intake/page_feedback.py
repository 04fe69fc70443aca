"""Feedback of a web page: what its user says about an answer whose token the page got with it, and no more.

The key stands in the page for everybody to read, so that nothing here rests on what a request says beside its token: an
answer has at most one event for each signal, whichever page sent it and how often; what was said later is its next
revision, in whatever order it arrives. When it was said is the page's word within the token's time alone.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, SecretStr, model_validator

from headrace.access.events import attributed
from headrace.access.roles import Forbidden, Principal
from headrace.access.tokens import TokenError, answered
from headrace.contract import ids, meanings
from headrace.contract.elements import decoded
from headrace.contract.events import Feedback, Moment, Signal, Source, new_feedback
from headrace.contract.fields import as_json, without_null
from headrace.contract.plain import jsonable
from headrace.errors import EventError
from serving.http.refusal import Refusal, parsed
from serving.http.requests import Body

TOKEN_HEADER = "x-headrace-token"
SIGNALS = (Signal.THUMB, Signal.RATING, Signal.CORRECTION, Signal.COMMENT)


class PageFeedback(Body):
    """POST /v1/feedback with a key of the role publish."""

    signal: Signal
    """thumb, rating, correction or comment."""
    source: Source = Source.USER
    inference_id: UUID | str | int | None = None
    """May be sent, and does not count: the answer is the token's."""
    token: Annotated[str, Field(max_length=400)] = ""
    """The answer's X-Headrace-Token, where it does not come in a header of that name."""
    value: float | bool | str | None = None
    best: float | str | None = None
    """A rating's range, where it is not 1 to 5: what stands for the best,"""
    worst: float | str | None = None
    """and what for the worst."""
    label: str = ""
    comment: str = ""
    occurred_at: Moment | None = None
    """When the user said it, which makes a retry the same event; taken as between the token's making and now."""

    @model_validator(mode="after")
    def _whole(self) -> PageFeedback:
        if self.value is None and self.signal in (Signal.THUMB, Signal.RATING):
            raise ValueError(meanings.THUMB if self.signal is Signal.THUMB else meanings.RATING)
        if self.signal is not Signal.CORRECTION and self.label:
            raise ValueError("a label comes with the signal correction alone")
        meanings.check_said(self.signal, self.label)
        # Elsewhere a comment may be a number or what `extra` has; a page's user has words alone.
        if self.signal is Signal.COMMENT and not self.comment.strip():
            raise ValueError(meanings.COMMENT)
        return self


def page_feedback(body: bytes, token: str, principal: Principal, secret: SecretStr) -> Feedback:
    """The event. Raises Refusal for a malformed body, Forbidden for what a page may not say or say it about."""
    try:
        fields = decoded(body)
    except EventError as error:
        raise Refusal(400, str(error)) from None
    try:
        # JSON.stringify writes null for what a page leaves empty, and half of an emoji as it is.
        given = as_json(jsonable(without_null(fields))) if isinstance(fields, dict) else body
    except ValueError as error:
        raise Refusal(400, str(error)) from None
    said = parsed(PageFeedback, given)
    if said.signal not in SIGNALS:
        raise Forbidden(f"signal {said.signal} is not for a web page, which may send {', '.join(SIGNALS)}")
    principal.require_source(said.source)
    now = datetime.now(UTC)
    try:
        answer = answered(secret, principal.tenant, token or said.token, now)
    except TokenError as error:
        raise Refusal(
            403, f"{error}; send the answer's {TOKEN_HEADER.title()} header with the feedback", param="token"
        ) from None
    answered_at = ids.time_of(answer.inference_id)
    at = min(max(said.occurred_at or now, answer.issued_at), now)
    declared = {"best": said.best, "worst": said.worst} if said.signal is Signal.RATING else {}
    try:
        feedback = new_feedback(
            answer.inference_id,
            said.source,
            said.signal,
            feedback_id=ids.derived(answered_at, "publish", principal.tenant, answer.inference_id, said.signal),
            revision=max(0, int((at - answer.issued_at).total_seconds())),
            # What a clock that is late says before the token was made is in the order of its arrival.
            occurred_at=at if at > answer.issued_at else now,
            value=said.value,
            label=said.label,
            comment=said.comment,
            **declared,
        )
    except EventError as error:
        raise Refusal(400, str(error), param=error.field or None) from None
    return attributed(feedback, principal)
