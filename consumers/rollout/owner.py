"""The promotions of one partition's tasks: seeded, changed on request, advanced or rolled back by evidence."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from consumers.ownership import Hold, decoded, home_of, records_of
from consumers.rollout.plan_change import plan_change
from consumers.rollout.record import changed, seeded
from consumers.rollout.replicas import Replicas
from consumers.rollout.request import answer_to
from consumers.rollout.step import Evidence, Move, next_step
from consumers.rollout.table import Event, apply, seed
from consumers.rollout.traffic import Sight
from headrace import artifacts
from headrace.bus.kafka import snapshot
from headrace.bus.protocol import Message
from headrace.control import Action, ActionKind, DeadLetter, Job, Promotion, RequestKind, RolloutRequest, Served, Step
from headrace.errors import ArtifactError
from headrace.plan import Plan, Task
from headrace.settings import Settings
from headrace.topics import ACTIONS, DEAD_LETTERS, JOBS, PROMOTIONS, ROLLOUTS

log = logging.getLogger(__name__)

GROUP = "headrace-rollout"
LOOK_S = 1.0


class Rollouts:
    """An Owner (consumers.ownership) of a partition of headrace.rollouts: of the tasks whose key lies there."""

    def __init__(self, settings: Settings, plan: Plan, sight: Sight, replicas: Replicas, partition: int) -> None:
        self._settings = settings
        # One partition's owner tells of the plan, which is the same for all.
        self._plan = plan if partition == 0 else None
        self._tasks = {name: task for name, task in plan.tasks.items() if home_of(name, ROLLOUTS) == partition}
        self._sight = sight
        self._replicas = replicas
        self._hold = Hold(settings, ROLLOUTS, partition, GROUP)
        self._promotions: dict[str, Promotion] = {}
        self._looking: dict[str, asyncio.Task[tuple[Promotion, Evidence]]] = {}
        self._look_due = 0.0

    async def take_up(self) -> None:
        """See Owner. A task without a promotion gets its first: the plan's incumbent."""
        await self._hold.start()
        # Read after fencing: nobody else can write these tasks' promotions any more.
        known = records_of(await snapshot(self._settings, PROMOTIONS), Promotion)
        self._promotions = {promotion.task: promotion for promotion in known if promotion.task in self._tasks}
        now = datetime.now(UTC)
        missing = self._tasks.keys() - self._promotions.keys()
        seeds = [seed(name, Served(version=self._tasks[name].incumbent.version), now) for name in sorted(missing)]
        if seeds:
            records = [(PROMOTIONS, promotion) for promotion in seeds]
            await self._hold.write([*records, *((ACTIONS, seeded(promotion)) for promotion in seeds)])
            self._promotions |= {promotion.task: promotion for promotion in seeds}

        if self._plan is not None:
            last = (await snapshot(self._settings, ACTIONS)).get(ActionKind.PLAN_CHANGED.encode())
            if told := plan_change(last, self._plan):
                await self._hold.write([(ACTIONS, told)])

    async def take(self, message: Message) -> None:
        """See Owner. The promotion that a request leads to and its offset are one transaction."""
        request = decoded(message, RolloutRequest)
        if isinstance(request, DeadLetter):
            await self._hold.write([(DEAD_LETTERS, request)], message.offset)
            return
        promotion = self._promotions.get(request.task)
        if promotion is None:
            log.error("request %s is for %r, no task of the plan in this partition", request.request_id, request.task)
            await self._hold.write([], message.offset)
            return
        jobs: Sequence[Job] = ()
        fault = ""
        if request.kind is RequestKind.PROMOTE and request.candidate:
            jobs = records_of(await snapshot(self._settings, JOBS), Job)
            fault = await asyncio.to_thread(_fault, request.candidate, self._tasks[request.task])
        answer = answer_to(request, promotion, jobs, fault)
        if answer is None:
            await self._hold.write([], message.offset)
            return
        after = apply(
            promotion,
            answer.event,
            datetime.now(UTC),
            answer.reason,
            candidate=request.candidate,
            request_id=request.request_id,
        )
        await self._publish(after, changed(promotion, after, answer.event, request), message.offset)

    async def tick(self) -> None:
        """See Owner. Looks at each rollout under way about once a second, without holding up requests."""
        for task, look in list(self._looking.items()):
            if look.done():
                del self._looking[task]
                promotion, evidence = look.result()
                # A request may have changed the task while the warehouse was asked.
                if self._promotions[task] == promotion:
                    await self._move(promotion, evidence)
        if time.monotonic() < self._look_due:
            return
        self._look_due = time.monotonic() + LOOK_S
        for task, promotion in self._promotions.items():
            if promotion.step is not Step.STEADY and task not in self._looking:
                self._looking[task] = asyncio.create_task(self._look(promotion))

    async def lay_down(self, orderly: bool) -> None:
        """See Owner. Everything that matters is written already."""
        for look in self._looking.values():
            look.cancel()
        await asyncio.gather(*self._looking.values(), return_exceptions=True)
        await self._hold.stop()

    async def _look(self, promotion: Promotion) -> tuple[Promotion, Evidence]:
        traffic = await self._sight.traffic(promotion)
        evidence = self._replicas.evidence(promotion, datetime.now(UTC))
        return promotion, dataclasses.replace(evidence, traffic=traffic)

    async def _move(self, promotion: Promotion, evidence: Evidence) -> None:
        bar = self._tasks[promotion.task].rollout
        verdict = next_step(promotion.step, evidence, bar)
        if verdict.move is Move.HOLD:
            log.debug("%s holds: %s", promotion.task, verdict.reason)
            return
        event = Event(verdict.move.value)
        after = apply(promotion, event, datetime.now(UTC), verdict.reason, shares=bar.canary_shares)
        await self._publish(after, changed(promotion, after, event))

    async def _publish(self, promotion: Promotion, action: Action, offset: int | None = None) -> None:
        """A promotion and who made it are one transaction: neither is ever there without the other."""
        await self._hold.write([(PROMOTIONS, promotion), (ACTIONS, action)], offset)
        self._promotions[promotion.task] = promotion
        log.info(
            "%s generation %d is %s, live %s: %s",
            promotion.task,
            promotion.generation,
            promotion.step,
            promotion.live.version,
            promotion.reason,
        )


def _fault(candidate: Served, task: Task) -> str:
    """What is wrong with what the candidate would be loaded from, in one sentence; empty where nothing is."""
    if not candidate.artifact:
        if candidate.version == task.incumbent.version:
            return ""
        return f"{candidate.version} has no artifact and is not the plan's incumbent"
    try:
        manifest = artifacts.verify(Path(candidate.artifact), candidate.digest)
    except (ArtifactError, OSError) as error:
        return str(error)
    if manifest.version != candidate.version:
        return f"the artifact at {candidate.artifact} is {manifest.version}, not {candidate.version}"
    if set(manifest.labels) != set(task.labels):
        return f"{candidate.version} answers with other labels than the plan has"
    return ""
