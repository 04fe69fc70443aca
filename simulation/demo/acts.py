"""The two acts: what the simulated company does, and what headrace is waited for to do by itself.

Nothing here tells headrace what to do: the acts change the traffic and the world, and watch the warehouse.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from headrace.errors import WarehouseError
from headrace.warehouse import Warehouse
from simulation.demo.report import FINAL, TASK, demo_query
from simulation.demo.screen import Screen
from simulation.demo.traffic import Traffic

CASE_STUDY_FEEDBACK = 1224
LOOK_S = 1.5
# Turns of the wheel that an act waits for, at most, until one ends in a promotion.
MAX_TURNS = 2


@dataclass(frozen=True, slots=True)
class Pace:
    """Questions a second in each part of the play, and how long to wait for headrace, seconds.

    busy: while labels are gathered; training: beside a running trainer; rollout: while a candidate is tried
    fresh_questions: answers by which a new version is measured
    """

    incumbent: float = 110.0
    busy: float = 90.0
    training: float = 6.0
    rollout: float = 50.0
    fresh: float = 80.0
    fresh_questions: int = 1200
    patience_s: float = 900.0


@dataclass(frozen=True, slots=True)
class Watch:
    """What the warehouse shows now."""

    job: str
    job_state: str
    needs: int
    job_reason: str
    decided_at: datetime | None
    generation: int
    step: str
    live: str
    reason: str


class GaveUp(Exception):
    """headrace did not do in time what the act waited for."""


class Play:
    """One run of both acts; see Options.between_acts."""

    def __init__(
        self,
        traffic: Traffic,
        warehouse: Warehouse,
        screen: Screen,
        pace: Pace,
        between: Callable[[Traffic], Awaitable[None]] | None = None,
    ) -> None:
        self._traffic, self._warehouse, self._screen, self._pace = traffic, warehouse, screen, pace
        self._between = between
        self.world_changed_at: datetime | None = None
        self.ended = ""

    async def both_acts(self) -> None:
        """Play until the world has been learnt again, or until headrace finds no winner."""
        self._screen.act = "act one: the case study"
        self._screen.say("the big incumbent serves; employees ask, some react, experts label a blind sample")
        self._traffic.feedback_left = CASE_STUDY_FEEDBACK
        self._pace_of("incumbent", self._pace.incumbent)
        small = await self._turns(None)
        if small is None:
            self.ended = "act one ended without a promotion"
            return
        self._traffic.feedback_left = None
        await self._fresh_answers("after act one", small)
        if self._between is not None:
            await self._between(self._traffic)

        self._screen.act = "act two: the world changes"
        self._traffic.era = 2
        self.world_changed_at = datetime.now(UTC)
        self._screen.say("[yellow]the world changes[/]: new systems and products, another mix, new words")
        self._pace_of("changed", self._pace.busy)
        newer = await self._turns(self.world_changed_at)
        if newer is None:
            self.ended = "act two ended without a promotion"
            return
        await self._fresh_answers("recovered", newer)
        self.ended = "both acts were played"

    async def _turns(self, after: datetime | None) -> str | None:
        """Wait for a promotion. No winner is an ordinary outcome: the wheel turns again, with more labels."""
        for _ in range(MAX_TURNS):
            phase, rate = self._traffic.phase, self._traffic.rate
            version, after = await self._turn(after)
            if version is not None:
                return version
            self._pace_of(phase, rate)
        return None

    async def _turn(self, after: datetime | None) -> tuple[str | None, datetime]:
        """Wait for one whole turn of the wheel: trigger, job, rollout.

        Returns the version that serves everyone then, None without a promotion, and the time after which another
        turn's trigger was decided.
        """

        def triggered(watch: Watch) -> bool:
            return watch.decided_at is not None and (after is None or watch.decided_at >= after)

        watch = await self._until(triggered, "a trigger")
        assert watch.decided_at is not None
        before, served, next_after = watch.generation, watch.live, watch.decided_at + timedelta(milliseconds=1)
        self._screen.say(f"headrace triggered a retraining by itself: {await self._reason(watch.job)}")
        while watch.job_state not in FINAL:
            if watch.job_state == "waiting":
                self._screen.say(f"the trainer wants {watch.needs:,} more blind labels; traffic goes on")
                self._pace_of(self._traffic.phase, self._pace.busy)
                watch = await self._until(lambda now: now.job_state != "waiting", "enough labels")
            self._pace_of(self._traffic.phase, self._pace.training)
            watch = await self._until(lambda now: now.job_state in (*FINAL, "waiting"), "the trainer")
        self._screen.job = None
        if watch.job_state != "won":
            self._screen.say(f"[yellow]no winner[/]: {watch.job_reason}")
            return None, next_after
        self._screen.say(f"the gate passed a candidate: {watch.job_reason}")
        self._pace_of("rollout", self._pace.rollout)
        watch = await self._until(
            lambda now: now.step == "steady" and now.generation > before, "shadow, canary and promotion"
        )
        if watch.live == served:
            self._screen.say(f"[yellow]rolled back[/]: {watch.reason}")
            return None, next_after
        self._screen.say(f"[green]{watch.live} serves everyone[/] (generation {watch.generation})")
        return watch.live, next_after

    async def _fresh_answers(self, phase: str, version: str) -> None:
        """Ask fresh questions until `version` has answered enough of this era's to be measured by."""
        self._pace_of(phase, self._pace.fresh)
        key = (version, self._traffic.era)
        goal = self._traffic.answered_by.get(key, 0) + self._pace.fresh_questions
        await self._until(lambda _: self._traffic.answered_by.get(key, 0) >= goal, "fresh answers")

    def _pace_of(self, phase: str, rate: float) -> None:
        self._traffic.phase, self._traffic.rate = phase, rate

    async def _until(self, done: Callable[[Watch], bool], what: str) -> Watch:
        deadline = asyncio.get_running_loop().time() + self._pace.patience_s
        while asyncio.get_running_loop().time() < deadline:
            watch = await self.look()
            if watch is not None and done(watch):
                return watch
            await asyncio.sleep(LOOK_S)
        raise GaveUp(f"waited {self._pace.patience_s:.0f} s for {what} in vain")

    async def _reason(self, job: str) -> str:
        rows = await asyncio.to_thread(
            self._warehouse.rows,
            "SELECT any(JSONExtractString(trigger, 'reason')) AS reason FROM jobs WHERE job_id = {job:UUID}",
            job=job,
        )
        return str(rows[0]["reason"])

    async def look(self) -> Watch | None:
        """Read the warehouse once and refresh the screen; None while it does not answer."""
        try:
            row = (await asyncio.to_thread(self._warehouse.rows, demo_query("watch"), task=TASK))[0]
        except WarehouseError:
            return None
        self._show(row)
        job, _trigger, state, needs, reason, decided = row["job"] or ("", "", "", 0, "", "")
        generation, step, live, _, why = row["promotion"] or (0, "", "", 0.0, "")
        decided_at = datetime.fromisoformat(decided) if decided else None
        return Watch(job or "", state, int(needs), reason, decided_at, int(generation), step, live, why)

    def _show(self, row: dict[str, Any]) -> None:
        traffic, figures = self._traffic, self._screen.figures
        figures["questions"] = f"{traffic.asked:,} asked, {traffic.failed} failed, {traffic.rate:.0f}/s wanted"
        figures["feedback"] = (
            f"{traffic.answers_with_feedback:,} answers got some; experts labelled {row['audits']:,} blind"
        )
        figures["stored"] = f"{row['inferences']:,} inferences, {row['feedback']:,} feedbacks in ClickHouse"
        if row["rolling"] and row["rolling"][3]:
            value, low, high, n = row["rolling"]
            figures["rolling accuracy"] = f"{value:.3f}  ({low:.3f}–{high:.3f}, n {n:,})"
        if row["promotion"] and row["promotion"][0]:
            generation, step, live, share, _ = row["promotion"]
            figures["serving"] = f"{live}, generation {generation}, {step}" + (f" {share:.0%}" if share else "")
        if row["job"] and row["job"][2] == "running" and row["progress"]:
            stage, done, total, message = row["progress"]
            self._screen.job = (f"{stage} {message}".strip()[:60], float(done), float(total))
        else:
            self._screen.job = None
