"""Compares the control topics with the warehouse's copy of them, and writes back what was lost or cannot be read.

Owners never write over what they cannot read; a person decides that. What is restored is written as the owner of its
partition: every owner that runs is fenced before the topic is read, so nothing can be written in between, and takes its
partition up again afterwards.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from headrace.bus.kafka import Hold, home_of, snapshot
from headrace.contract.compacted import Compacted, Unreadable, compacted, jobs_of, promotion_of
from headrace.contract.control import Job, Promotion, Served, Step
from headrace.contract.topics import JOBS, PROMOTIONS, RETRAIN_GROUP, ROLLOUT_GROUP, ROLLOUTS, TRIGGERS, Topic
from headrace.errors import SettingsError
from headrace.plan import Plan
from headrace.settings import Settings
from headrace.warehouse.copies import Copies

Row = tuple[Topic, bytes | None, bytes | None]


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a task on one control topic.

    topic: its name; on_topic, copied: generation, or number of jobs, there and in the warehouse's copy
    acknowledged: the newest generation that a gateway said it has; 0 for jobs
    wrong: why it cannot be used as it is; empty where nothing is wrong
    """

    topic: str
    task: str
    on_topic: int
    copied: int
    acknowledged: int
    wrong: str


@dataclass(frozen=True, slots=True)
class _Seen:
    """Everything that says what a task's state was."""

    promotions: Compacted[Promotion]
    jobs: Compacted[Job]
    generations: dict[str, int]
    acknowledged: dict[str, int]
    copied: dict[str, str]

    def promotion(self, task: str) -> Standing:
        found = promotion_of(task, self.promotions, self.generations)
        known = self.promotions.read.get(task)
        on_topic, heard = known.generation if known else 0, self.acknowledged.get(task, 0)
        wrong = found.reason if isinstance(found, Unreadable) else ""
        if not wrong and heard > on_topic:
            wrong = f"a gateway has acknowledged generation {heard}, which the topic does not have"
        return Standing(PROMOTIONS.name, task, on_topic, self.generations.get(task, 0), heard, wrong)

    def job(self, task: str) -> Standing:
        found = jobs_of(task, self.jobs, self.copied)
        there = sum(job.task == task for job in self.jobs.read.values())
        copied = sum(whose == task for whose in self.copied.values())
        wrong = found.reason if isinstance(found, Unreadable) else ""
        return Standing(JOBS.name, task, there, copied, 0, wrong)


async def standings(settings: Settings, copies: Copies, tasks: Collection[str]) -> list[Standing]:
    """What stands on the topics of promotions and jobs. Raises HeadraceError where Kafka or ClickHouse is away."""
    seen = await _see(settings, copies)
    return [one for task in sorted(tasks) for one in (seen.promotion(task), seen.job(task))]


async def restore(
    settings: Settings, copies: Copies, plan: Plan, task: str, by: str, *, dry_run: bool, incumbent: bool
) -> list[str]:
    """Write back what is wrong of a task; one sentence for each record that was, or would be, written.

    by: who asks for it
    incumbent: where no promotion can be read anywhere, start over with the plan's incumbent
    Raises SettingsError where nothing is wrong, or nothing is there to write.
    """
    told = []
    seen = await _see(settings, copies)
    if seen.promotion(task).wrong:
        told += await _restore_promotion(settings, copies, plan, task, by, dry_run, incumbent)
    if seen.job(task).wrong:
        told += await _restore_jobs(settings, copies, task, dry_run)
    if not told:
        raise SettingsError(f"nothing is wrong with the promotion and the jobs of {task}; there is nothing to restore")
    return told


async def _restore_promotion(
    settings: Settings, copies: Copies, plan: Plan, task: str, by: str, dry_run: bool, incumbent: bool
) -> list[str]:
    hold = Hold(settings, ROLLOUTS, home_of(task, ROLLOUTS), ROLLOUT_GROUP)
    try:
        if not dry_run:
            await hold.start()
        seen = await _see(settings, copies)
        standing = seen.promotion(task)
        if not standing.wrong:
            return []
        known = [one for one in (seen.promotions.read.get(task), copies.promotion(task)) if one]
        newest = max(known, key=lambda one: one.generation, default=None)
        now = datetime.now(UTC)
        if newest is None:
            if not incumbent:
                raise SettingsError(
                    f"no promotion of {task} can be read, neither on the topic nor in the warehouse's copy; "
                    "--incumbent starts over with the plan's incumbent"
                )
            live = Served(version=plan.task(task).incumbent.version)
            newest = Promotion(task=task, generation=1, step=Step.STEADY, live=live, since=now, at=now)
        garbled = seen.promotions.unreadable.get(task)
        above = max(standing.on_topic, standing.copied, standing.acknowledged, garbled.generation if garbled else 0)
        reason = f"restored from generation {newest.generation} by {by}: {standing.wrong}"
        made = newest.model_copy(update={"generation": above + 1, "at": now, "reason": reason})
        if not dry_run:
            await hold.write([(PROMOTIONS, made)])
        return [
            f"generation {made.generation} of {task} is generation {newest.generation}: {made.live.version} is live"
        ]
    finally:
        await hold.stop()


async def _restore_jobs(settings: Settings, copies: Copies, task: str, dry_run: bool) -> list[str]:
    hold = Hold(settings, TRIGGERS, home_of(task, TRIGGERS), RETRAIN_GROUP)
    try:
        if not dry_run:
            await hold.start()
        seen = await _see(settings, copies)
        missing = [key for key, whose in seen.copied.items() if whose == task and key not in seen.jobs.read]
        # What was never copied, and says no other task, may be this one's: it is given up, or the task would wait.
        garbled = [
            one.key
            for one in seen.jobs.unreadable.values()
            if one.key not in seen.copied and one.task in ("", task) and seen.job(task).wrong
        ]
        rows: list[Row] = []
        told = []
        for key in sorted({*missing, *garbled}):
            job = copies.job(key) if key in seen.copied else None
            rows.append((JOBS, job.to_json() if job else None, key.encode()))
            told.append(
                f"job {job.number} of {task} is {job.state}"
                if job
                else f"job {key} cannot be read anywhere and is given up"
            )
        if rows and not dry_run:
            await hold.write_raw(rows)
        return told
    finally:
        await hold.stop()


async def _see(settings: Settings, copies: Copies) -> _Seen:
    return _Seen(
        compacted(await snapshot(settings, PROMOTIONS), PROMOTIONS, Promotion),
        compacted(await snapshot(settings, JOBS), JOBS, Job),
        copies.generations(),
        copies.acknowledged(),
        copies.jobs(),
    )
