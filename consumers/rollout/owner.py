"""The promotions of one partition's tasks: seeded, changed on request, advanced or rolled back by evidence."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

from consumers.copies import Alarms, Copy
from consumers.ownership import decoded
from consumers.rollout.alarm import Health, diverted, heeds
from consumers.rollout.holding import frozen, held
from consumers.rollout.plan_change import plan_change
from consumers.rollout.record import changed, refused, seeded
from consumers.rollout.replicas import Replicas
from consumers.rollout.request import answer_to, begins
from consumers.rollout.step import Evidence, Move, next_step, watched
from consumers.rollout.table import Event, apply, seed
from consumers.rollout.traffic import Sight
from headrace.bus.kafka import Hold, home_of, snapshot
from headrace.bus.protocol import Message
from headrace.contract.actions import Action, ActionKind
from headrace.contract.compacted import Unreadable, compacted, promotion_of
from headrace.contract.control import DeadLetter, Job, Promotion, RequestKind, RolloutRequest, Served, Step, Waits
from headrace.contract.topics import ACTIONS, DEAD_LETTERS, JOBS, PROMOTIONS, ROLLOUT_GROUP, ROLLOUTS
from headrace.errors import ArtifactError, HeadraceError
from headrace.models import bundle
from headrace.plan import Plan, Task
from headrace.settings import Settings

log = logging.getLogger(__name__)

LOOK_S = 1.0
# How often what could not be read is read again.
AGAIN_S = 2.0


class Rollouts:
    """An Owner (consumers.ownership) of a partition of headrace.rollouts: of the tasks whose key lies there.

    A task whose promotion cannot be read, or was lost, is left as it is: nothing is written for it, and requests for it
    wait. The partition is taken up again once that has changed.
    """

    def __init__(
        self, settings: Settings, plan: Plan, sight: Sight, copy: Copy, replicas: Replicas, partition: int
    ) -> None:
        self._settings = settings
        # One partition's owner tells of the plan, which is the same for all.
        self._plan = plan if partition == 0 else None
        self._modes = {name: plan.mode(name) for name in plan.tasks}
        self._tasks = {name: task for name, task in plan.tasks.items() if home_of(name, ROLLOUTS) == partition}
        self._sight = sight
        self._copy = copy
        self._replicas = replicas
        self._hold = Hold(settings, ROLLOUTS, partition, ROLLOUT_GROUP)
        self._alarms = Alarms(copy, self._hold.name)
        self._promotions: dict[str, Promotion] = {}
        self._unreadable: dict[str, Unreadable] = {}
        self._looking: dict[str, asyncio.Task[tuple[Promotion, Evidence, Health | None]]] = {}
        self._told_at: dict[str, float] = {}
        self._look_due = self._again_due = 0.0

    async def take_up(self) -> None:
        """See Owner. A task that never had a promotion gets its first: the plan's incumbent."""
        await self._hold.start()
        # Read after fencing: nobody else can write these tasks' promotions any more.
        found = await self._read(self._tasks)
        now = datetime.now(UTC)
        self._promotions = {name: one for name, one in found.items() if isinstance(one, Promotion)}
        self._unreadable = {name: one for name, one in found.items() if isinstance(one, Unreadable)}
        first = sorted(name for name, one in found.items() if one is None)
        seeds = [seed(name, Served(version=self._tasks[name].incumbent.version), now) for name in first]
        if seeds:
            records = [(PROMOTIONS, promotion) for promotion in seeds]
            await self._hold.write([*records, *((ACTIONS, seeded(promotion)) for promotion in seeds)])
            self._promotions |= {promotion.task: promotion for promotion in seeds}
        await self._alarms.raise_for(PROMOTIONS, self._unreadable.values())
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
        if request.task in self._unreadable:
            self._hold.defer(message)
            return
        promotion = self._promotions.get(request.task)
        if promotion is None:
            log.error("request %s is for %r, no task of the plan in this partition", request.request_id, request.task)
            await self._hold.write([], message.offset)
            return
        jobs: list[Job] = []
        fault, task, now = "", self._tasks[request.task], datetime.now(UTC)
        waits, promotes = frozen(task, now), request.kind is RequestKind.PROMOTE
        if promotes and any(
            other.key == message.key and other.offset < message.offset for other in self._hold.deferred
        ):
            self._hold.defer(message)  # the earlier one is answered first
            return
        if promotes and request.candidate and waits:
            self._hold.defer(message)
            # A rollout that is under way tells its own reason; of several requests that wait one is told.
            if promotion.step is Step.STEADY and waits not in promotion.reason:
                before = "" if promotion.waits else promotion.reason
                await self._tell(promotion, Waits.FREEZE, f"{request.candidate.version} {waits}", now, before)
            return
        if promotes and request.candidate:
            found = await self._job_of(request.candidate)
            if isinstance(found, Unreadable):
                await self._alarms.raise_for(JOBS, [found])
                self._hold.defer(message)
                return
            jobs = [found] if found else []
            fault = await asyncio.to_thread(_fault, request.candidate, task)
        answer = answer_to(
            request,
            promotion,
            jobs,
            fault,
            mode=self._modes[request.task],
            frozen=waits,
            incumbent=task.incumbent.version,
        )
        if answer is None:
            await self._hold.write([], message.offset)
            return
        if answer.event is None:
            log.warning("%s: %s", request.task, answer.reason)
            told = refused(request, promotion, answer.reason)
            if promotes and promotion.step is Step.STEADY and promotion.waits is Waits.FREEZE:
                # It waited no longer for anything, and nobody else says so.
                await self._publish(apply(promotion, Event.HOLD, now, answer.reason), told, message.offset)
            else:
                await self._hold.write([(ACTIONS, told)], message.offset)
            return
        after = apply(
            promotion,
            answer.event,
            now,
            answer.reason,
            shares=task.rollout.canary_shares,
            candidate=request.candidate,
            request_id=request.request_id if begins(request) else None,
            pins=answer.pins,
            share=request.share,
            by_hand=True,
            waits_for=Waits.APPROVED if request.kind is RequestKind.APPROVE else Waits.NOTHING,
        )
        await self._publish(after, changed(promotion, after, answer.event, request, now), message.offset)

    async def tick(self) -> None:
        """See Owner. Looks at each rollout under way about once a second, without holding up requests.

        Raises HeadraceError where a task can be read again: its partition is to be taken up anew.
        """
        if (self._unreadable or self._hold.deferred) and time.monotonic() >= self._again_due:
            self._again_due = time.monotonic() + AGAIN_S
            await self._look_again()
        for task, look in list(self._looking.items()):
            if look.done():
                del self._looking[task]
                promotion, evidence, health = look.result()
                # A request may have changed the task while the warehouse was asked.
                if self._promotions[task] == promotion and not await self._move(promotion, evidence) and health:
                    await self._divert(promotion, health)
        if time.monotonic() < self._look_due:
            return
        self._look_due = time.monotonic() + LOOK_S
        for task, promotion in self._promotions.items():
            bar = self._tasks[task].rollout
            if (self._is_compared(promotion) or heeds(promotion, bar)) and task not in self._looking:
                self._looking[task] = asyncio.create_task(self._look(promotion))

    async def lay_down(self, orderly: bool) -> None:
        """See Owner. Everything that matters is written already."""
        for look in self._looking.values():
            look.cancel()
        await asyncio.gather(*self._looking.values(), return_exceptions=True)
        await self._hold.stop()

    async def _read(self, tasks: Collection[str]) -> dict[str, Promotion | Unreadable | None]:
        topic = compacted(await snapshot(self._settings, PROMOTIONS), PROMOTIONS, Promotion)
        generations = await self._copy.generations()
        return {name: promotion_of(name, topic, generations) for name in tasks}

    async def _look_again(self) -> None:
        found = await self._read(self._unreadable) if self._unreadable else {}
        if mended := sorted(name for name, one in found.items() if not isinstance(one, Unreadable)):
            raise HeadraceError(f"the promotion of {', '.join(mended)} can be read again, and is taken up")
        self._unreadable = {name: one for name, one in found.items() if isinstance(one, Unreadable)}
        await self._alarms.raise_for(PROMOTIONS, self._unreadable.values())
        for message in self._hold.deferred:
            await self.take(message)

    async def _job_of(self, candidate: Served) -> Job | Unreadable | None:
        """The job that published a candidate; None where there is none."""
        if candidate.job_id is None:
            return None
        key = str(candidate.job_id)
        topic = compacted(await snapshot(self._settings, JOBS), JOBS, Job)
        if found := topic.read.get(key) or topic.unreadable.get(key):
            return found
        copied = await self._copy.jobs()
        if copied is None or key in copied:
            return Unreadable(key, f"the topic has no job {key}, and the warehouse does not say that there was none")
        return None

    def _is_compared(self, promotion: Promotion) -> bool:
        """A rollout is under way, or its version has become live so lately that the plan has it watched."""
        if promotion.step is not Step.STEADY:
            return True
        age_s = (datetime.now(UTC) - promotion.since).total_seconds()
        return promotion.previous is not None and age_s <= self._tasks[promotion.task].rollout.watch_s

    async def _look(self, promotion: Promotion) -> tuple[Promotion, Evidence, Health | None]:
        bar = self._tasks[promotion.task].rollout
        health = await self._sight.health(promotion) if heeds(promotion, bar) else None
        traffic = await self._sight.traffic(promotion, bar) if self._is_compared(promotion) else None
        evidence = self._replicas.evidence(promotion, datetime.now(UTC))
        candidate = promotion.candidate
        evaluated = (candidate.labelled, candidate.errors) if candidate else (0, 0)
        seen = dataclasses.replace(
            evidence,
            traffic=traffic,
            evaluated=evaluated[0],
            evaluated_errors=evaluated[1],
            told_s=time.monotonic() - self._told_at.setdefault(promotion.task, time.monotonic()),
            waits=promotion.waits in (Waits.APPROVAL, Waits.FREEZE),
        )
        return promotion, seen, health

    async def _move(self, promotion: Promotion, evidence: Evidence) -> bool:
        """Whether the promotion changed."""
        bar, now = self._tasks[promotion.task].rollout, datetime.now(UTC)
        if not self._is_compared(promotion):
            return False
        steady = promotion.step is Step.STEADY
        verdict = watched(evidence, bar) if steady else next_step(promotion.step, evidence, bar)
        if verdict.move is Move.HOLD:
            log.debug("%s holds: %s", promotion.task, verdict.reason)
            return False
        waits_for, waits = held(promotion, self._tasks[promotion.task], now)
        if verdict.move is Move.ADVANCE and waits_for:
            return await self._tell(promotion, waits_for, waits, now, verdict.reason)
        event, reason = Event(verdict.move.value), verdict.reason
        if event is Event.ADVANCE and promotion.waits is Waits.APPROVED:
            reason = f"{promotion.reason}; {reason}"
        after = apply(promotion, event, now, reason, shares=bar.canary_shares)
        await self._publish(after, changed(promotion, after, event))
        return True

    async def _tell(self, promotion: Promotion, waits_for: Waits, waits: str, now: datetime, shown: str = "") -> bool:
        """Say once why no step forward begins, as a generation: the reason is where people look for it."""
        if promotion.waits is waits_for and promotion.reason.startswith(waits):
            return False
        reason = f"{waits}; {shown}" if shown else waits
        after = apply(promotion, Event.HOLD, now, reason, waits_for=waits_for)
        await self._publish(after, changed(promotion, after, Event.HOLD, now=now))
        return True

    async def _divert(self, promotion: Promotion, health: Health) -> None:
        now = datetime.now(UTC)
        if found := diverted(promotion, health, self._tasks[promotion.task].rollout):
            after = apply(promotion, Event.DIVERT, now, found.reason, share=found.share)
            await self._publish(after, changed(promotion, after, Event.DIVERT, now=now))

    async def _publish(self, promotion: Promotion, action: Action, offset: int | None = None) -> None:
        """A promotion and who made it are one transaction: neither is ever there without the other."""
        await self._hold.write([(PROMOTIONS, promotion), (ACTIONS, action)], offset)
        self._promotions[promotion.task] = promotion
        self._told_at[promotion.task] = time.monotonic()
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
        manifest = bundle.verify(Path(candidate.artifact), candidate.digest)
    except (ArtifactError, OSError) as error:
        return str(error)
    if manifest.version != candidate.version:
        return f"the artifact at {candidate.artifact} is {manifest.version}, not {candidate.version}"
    if set(manifest.labels) != set(task.labels):
        return f"{candidate.version} answers with other labels than the plan has"
    return ""
