"""One question: choose who answers, answer, fall back where a candidate fails, record what was said."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

from headrace.access.proofs import Proofs
from headrace.client.counts import Count
from headrace.contract import ids
from headrace.contract.events import Arm, Event, Inference
from headrace.contract.fast_reading import Read
from headrace.contract.texts import MAX_TEXT, carried, mark, shortened
from headrace.plan import Plan
from headrace.spool import SpoolState
from serving.answering.asking import EXPLICIT, NOTHING_SAID, Asking
from serving.answering.breaker import failing
from serving.answering.routing import diverted, place, route
from serving.answering.shadow import Shadowed, Shadows
from serving.engines.engine import Answer, DeadlinePassed, EngineBusy, EngineFailed, UnsupportedRequest
from serving.http.metrics import Metrics
from serving.versions.fleet import Fleet, Lane
from serving.versions.loaded import LoadedVersion


@dataclass(frozen=True, slots=True)
class Question:
    """What a client asked.

    key_id: of the API key that it came with
    response_prefix: how the response id begins that the client gets beside the inference's; the rest is that
    parts: of the question, as OpenAI's, where images are among them
    """

    task: str
    text: str
    tenant: str
    key_id: str = ""
    asking: Asking = NOTHING_SAID
    response_prefix: str = ""
    parts: tuple[Mapping[str, Any], ...] = ()

    async def asked_of(self, version: LoadedVersion) -> Answer:
        """The version's answer, in the caller's turn where its host is full. Raises EngineFailed."""
        caller = f"{self.tenant} {self.key_id}"
        return await version.answer(self.text, self.asking.deadline, caller, self.parts)


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

    def answered(self, event: Read, body: bytes) -> None:
        """Alike, an answer and its JSON."""

    async def keep(self, events: Sequence[Event | Read], wait_s: float, given: Sequence[bytes] = ()) -> bool:
        """Whether the events are stored after `wait_s`; if not they are on disk. Raises HeadraceError for neither."""

    def count(self, kind: str) -> Count:
        """How many of a kind were emitted, acknowledged and dropped."""

    @property
    def spooled(self) -> SpoolState:
        """What is on disk."""


@dataclass(slots=True)
class Counts:
    """A task's requests since the start: all of them, and those that failed."""

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
        """The answer, as it was recorded.

        Raises EngineFailed when neither the live version nor one that the plan lets stand in for it gave any.
        """
        started = time.perf_counter()
        inference_id = question.asking.inference_id or self._proofs.mint()
        lane = self._fleet.table[question.task]
        self.counts[question.task].requests += 1
        arm, chosen = self._choose(lane, question, inference_id)
        try:
            arm, version, answer = await self._first(arm, chosen, question)
        except EngineFailed as error:
            # What nobody here can do, as reading an image, is no failure of the service.
            refused = isinstance(error, UnsupportedRequest)
            self.counts[question.task].failed += not refused
            outcome = "refused" if refused else "failed"
            self._metrics.requests.labels(question.task, chosen.served.version, arm, outcome).inc()
            raise
        if not self._is_pinned(version, question):
            version.tally.requests += 1
        if not answer.recognised:
            self._metrics.unknown_labels.labels(question.task, version.served.version).inc()
        elapsed_s = time.perf_counter() - started
        served = version.served.version
        self._metrics.requests.labels(question.task, served, arm, "answered").inc()
        self._metrics.latency.labels(question.task, served, arm).observe(elapsed_s)
        inference = self._proofs.sign(self._inference(question, inference_id, arm, served, answer, elapsed_s * 1000))
        self._recorder.inference(inference)
        # A candidate is compared with the live version, and not with what stood in for it.
        if (
            question.text
            and arm is Arm.LIVE
            and version.key == lane.live.key
            and (beside := self._beside(lane, inference))
        ):
            self.shadows.offer(Shadowed(inference, beside))
        return inference

    def _beside(self, lane: Lane, answer: Inference) -> LoadedVersion | None:
        """Who answers the same for nobody: a candidate, or at times the version before while a new one is watched."""
        if lane.shadow:
            return None if lane.shadow.tally.stopped else lane.shadow
        since, bar = lane.desired.since, self._plan.tasks[lane.task].rollout
        if lane.canary or lane.standby is None or since is None:
            return None
        watched = (answer.occurred_at - since).total_seconds() <= bar.watch_s
        drawn = place(str(answer.inference_id), "the version before") < bar.watch_share
        return lane.standby if watched and drawn else None

    async def _first(self, arm: Arm, version: LoadedVersion, question: Question) -> tuple[Arm, LoadedVersion, Answer]:
        """The first answer of the version that was chosen and of those that stand in for it. Raises EngineFailed."""
        try:
            return arm, version, await question.asked_of(version)
        except DeadlinePassed:
            raise
        except EngineBusy:
            # A full host refuses whoever comes: that says nothing about the candidate.
            if arm is Arm.LIVE and not self._is_diverted(version, question):
                raise
        except EngineFailed as error:
            lane = self._fleet.table[question.task]
            if arm is Arm.LIVE and not self._is_diverted(version, question):
                if not isinstance(error, UnsupportedRequest) and not self._is_pinned(version, question):
                    version.tally.requests += 1
                    version.tally.failed += 1
                return await self._instead(lane, version, question, error)
            if arm is Arm.CANARY and not isinstance(error, UnsupportedRequest):
                self._candidate_failed(lane, version)
        self._metrics.fallbacks.labels(question.task, version.served.version).inc()
        return await self._first(Arm.LIVE, self._fleet.table[question.task].live, question)

    def _is_diverted(self, version: LoadedVersion, question: Question) -> bool:
        """Whether it was asked in the place of a broken live version, which answers after all where it cannot."""
        lane = self._fleet.table[question.task]
        return version is lane.incumbent and version is not lane.live and question.tenant not in lane.pinned

    def _is_pinned(self, version: LoadedVersion, question: Question) -> bool:
        """Whether it was asked because the tenant is pinned to it: no evidence about it where it is a candidate too."""
        return self._fleet.table[question.task].pinned.get(question.tenant) is version

    async def _instead(
        self, lane: Lane, failed: LoadedVersion, question: Question, error: EngineFailed
    ) -> tuple[Arm, LoadedVersion, Answer]:
        """The answer of the first that the plan lets stand in for the live version. Raises its error where none can."""
        there = {"standby": lane.standby, "incumbent": lane.incumbent}
        lets = [there[name] for name in self._plan.tasks[lane.task].rollout.fallback]
        # What failed may be a version that the tenant is pinned to.
        for version in (lane.live, *lets):
            if version is None or version.key == failed.key:
                continue
            try:
                answer = await question.asked_of(version)
            except EngineFailed:
                continue
            self._metrics.stand_ins.labels(lane.task, failed.served.version, version.served.version).inc()
            return Arm.LIVE, version, answer
        raise error

    def _choose(self, lane: Lane, question: Question, inference_id: UUID) -> tuple[Arm, LoadedVersion]:
        asking = question.asking
        key = asking.session_id or asking.user_ref or str(inference_id)
        if pinned := lane.pinned.get(question.tenant):
            return Arm.LIVE, pinned
        if lane.canary and not lane.canary.tally.stopped and route(lane.desired, key) is Arm.CANARY:
            return Arm.CANARY, lane.canary
        if lane.incumbent and diverted(lane.desired, key):
            return Arm.LIVE, lane.incumbent
        return Arm.LIVE, lane.live

    def _inference(
        self, question: Question, inference_id: UUID, arm: Arm, version: str, answer: Answer, latency_ms: float
    ) -> Inference:
        asking = question.asking
        text = carried(question.text)
        extra = dict(EXPLICIT) if asking.consent else {}
        if len(text) > MAX_TEXT:
            extra["truncated"] = {"input": mark(text)}
        if question.parts:
            extra["images"] = True  # what the text says is not all that was asked
        return Inference(
            inference_id=inference_id,
            occurred_at=ids.time_of(inference_id) if asking.inference_id else datetime.now(UTC),
            tenant=question.tenant,
            key_id=question.key_id,
            task=question.task,
            version=version,
            arm=arm,
            session_id=asking.session_id,
            user_ref=asking.user_ref,
            trace_id=asking.trace_id,
            input=shortened(text),
            response_id=question.response_prefix and f"{question.response_prefix}{inference_id}",
            consent=asking.consent is not False,
            extra=extra | dict(answer.extra),
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
