"""One question: choose who answers, answer, fall back where a candidate fails, record what was said."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

from headrace.access.proofs import Proofs
from headrace.client.counts import Count
from headrace.contract import ids
from headrace.contract.events import Arm, Event, Inference
from headrace.contract.fast_reading import Read
from headrace.plan import Plan
from headrace.spool import SpoolState
from serving.answering.breaker import failing
from serving.answering.routing import route
from serving.answering.shadow import Shadowed, Shadows
from serving.engines.engine import Answer, EngineBusy, EngineFailed
from serving.http.metrics import Metrics
from serving.versions.fleet import Fleet, Lane
from serving.versions.loaded import LoadedVersion

EXPLICIT: dict[str, Any] = {"consent": "explicit"}
"""In `extra` of an answer whose client said itself that the question may train."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a client asked.

    key_id: of the API key that it came with
    consent: None where the client says nothing, which is recorded as consent, but not as an explicit one
    inference_id: the client's own, so that a retry is the same event; its time is then the answer's time
    response_prefix: how the response id begins that the client gets beside the inference's; the rest is that
    """

    task: str
    text: str
    tenant: str
    key_id: str = ""
    session_id: str = ""
    user_ref: str = ""
    consent: bool | None = None
    inference_id: UUID | None = None
    response_prefix: str = ""


@dataclass(frozen=True, slots=True)
class Stopped:
    """A candidate that this gateway took out of its traffic."""

    lane: Lane
    candidate: LoadedVersion


class Recorder(Protocol):
    """headrace.client.AsyncClient, as far as the gateway uses it."""

    @property
    def emitter(self) -> str:
        """The name that events bear."""

    def inference(self, event: Inference) -> object:
        """Sends it later; never waits and never raises for transport."""

    async def keep(self, events: Sequence[Event | Read], wait_s: float, given: Sequence[bytes] = ()) -> bool:
        """Whether the events are stored after `wait_s`; if not they are on disk. Raises HeadraceError for neither."""

    def count(self, kind: str) -> Count:
        """How many of a kind were emitted, acknowledged and dropped."""

    @property
    def spooled(self) -> SpoolState:
        """What is on disk."""


@dataclass(slots=True)
class Counts:
    """A task's requests since the start: all of them, and those that got no answer."""

    requests: int = 0
    failed: int = 0


class Gateway:
    """Answers questions.

    proofs: signs its answers
    on_stopped: called once for a candidate that failed too often here
    """

    def __init__(
        self,
        plan: Plan,
        fleet: Fleet,
        recorder: Recorder,
        metrics: Metrics,
        proofs: Proofs,
        on_stopped: Callable[[Stopped], None],
    ) -> None:
        self.counts = {task: Counts() for task in plan.served}
        self.shadows = Shadows(self._compared, self._shadow_failed)
        self._proofs = proofs
        self._plan = plan
        self._fleet = fleet
        self._recorder = recorder
        self._metrics = metrics
        self._on_stopped = on_stopped

    async def answer(self, question: Question) -> Inference:
        """The answer, as it was recorded. Raises EngineFailed when the live version gave none after its own retry."""
        started = time.perf_counter()
        inference_id = question.inference_id or self._proofs.mint()
        lane = self._fleet.table[question.task]
        self.counts[question.task].requests += 1
        arm, version = self._choose(lane, question, inference_id)
        try:
            try:
                answer = await version.answer(question.text)
            except EngineFailed as error:
                if arm is Arm.LIVE:
                    raise
                # A full host refuses whoever comes: that says nothing about the candidate.
                if not isinstance(error, EngineBusy):
                    self._candidate_failed(lane, version)
                self._metrics.fallbacks.labels(question.task, version.served.version).inc()
                arm, version = Arm.LIVE, self._fleet.table[question.task].live
                answer = await version.answer(question.text)
        except EngineFailed:
            self.counts[question.task].failed += 1
            self._metrics.requests.labels(question.task, version.served.version, arm, "failed").inc()
            raise
        if arm is Arm.CANARY:
            version.tally.requests += 1
        if not answer.recognised:
            self._metrics.unknown_labels.labels(question.task, version.served.version).inc()
        elapsed_s = time.perf_counter() - started
        served = version.served.version
        self._metrics.requests.labels(question.task, served, arm, "answered").inc()
        self._metrics.latency.labels(question.task, served, arm).observe(elapsed_s)
        inference = self._proofs.sign(self._inference(question, inference_id, arm, served, answer, elapsed_s * 1000))
        self._recorder.inference(inference)
        if lane.shadow and not lane.shadow.tally.stopped and arm is Arm.LIVE:
            self.shadows.offer(Shadowed(inference, lane.shadow))
        return inference

    def _choose(self, lane: Lane, question: Question, inference_id: UUID) -> tuple[Arm, LoadedVersion]:
        key = question.session_id or question.user_ref or str(inference_id)
        if lane.canary and not lane.canary.tally.stopped and route(lane.desired, key) is Arm.CANARY:
            return Arm.CANARY, lane.canary
        return Arm.LIVE, lane.live

    def _inference(
        self, question: Question, inference_id: UUID, arm: Arm, version: str, answer: Answer, latency_ms: float
    ) -> Inference:
        return Inference(
            inference_id=inference_id,
            occurred_at=ids.time_of(inference_id) if question.inference_id else datetime.now(UTC),
            tenant=question.tenant,
            key_id=question.key_id,
            task=question.task,
            version=version,
            arm=arm,
            session_id=question.session_id,
            user_ref=question.user_ref,
            input=question.text,
            response_id=question.response_prefix and f"{question.response_prefix}{inference_id}",
            consent=question.consent is not False,
            extra=(EXPLICIT if question.consent else {}) | dict(answer.extra),
            emitter=self._recorder.emitter,
            latency_ms=latency_ms,
            **answer.fields(),
        )

    def _compared(self, answer: Inference) -> None:
        own = answer.model_copy(update={"inference_id": self._proofs.marked(answer.inference_id)})
        self._recorder.inference(self._proofs.sign(own))

    def _shadow_failed(self, shadowed: Shadowed) -> None:
        lane = self._fleet.table[shadowed.live.task]
        if lane.shadow is shadowed.candidate:
            self._candidate_failed(lane, shadowed.candidate)

    def _candidate_failed(self, lane: Lane, candidate: LoadedVersion) -> None:
        tally = candidate.tally
        tally.requests += 1
        tally.failed += 1
        bar = self._plan.tasks[lane.task].rollout.max_error_share
        if not tally.stopped and failing(tally, bar):
            tally.stopped = True
            self._on_stopped(Stopped(lane, candidate))
