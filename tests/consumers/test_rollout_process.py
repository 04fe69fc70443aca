"""consumers.rollout as its own process on a real Kafka and ClickHouse, with hand-made gateways and traffic."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from following import Process, Tail, send, tail, trigger

from headrace.contract import ids
from headrace.contract.control import (
    Action,
    Job,
    JobState,
    Promotion,
    Replica,
    RequestKind,
    RolloutRequest,
    Served,
    Step,
)
from headrace.contract.events import Feedback, Inference, new_feedback, new_inference
from headrace.contract.topics import ACTIONS, JOBS, PROMOTIONS, REPLICAS, ROLLOUTS
from headrace.models import bundle
from headrace.settings import Settings
from headrace.warehouse import Warehouse

pytestmark = pytest.mark.stack

Start = Callable[..., Process]
ROLLOUT = ["-m", "consumers.rollout"]
TASK = """
[tasks.{name}]
labels = ["hr", "it"]
[tasks.{name}.incumbent]
url = "http://127.0.0.1:9/v1"
model = "big"
version = "{name}@0"
[tasks.{name}.candidates.probe]
method = "probe"
[tasks.{name}.rollout]
shadow_requests = 20
canary_shares = [0.1, 0.5]
canary_requests = 30
step_timeout_s = {timeout_s}
needs_labels = {labels}
"""


def planned(settings: Settings, *names: str, timeout_s: float = 600, labels: bool = False) -> Settings:
    """Settings of a home of its own whose plan has these tasks."""
    home = settings.home / names[0]
    home.mkdir()
    text = "version = 1\n" + "".join(
        TASK.format(name=name, timeout_s=timeout_s, labels=str(labels).lower()) for name in names
    )
    (home / "flywheel.toml").write_text(text)
    return settings.replaced(home=home, plan=home / "flywheel.toml", artifacts=home / "artifacts")


def won(settings: Settings, task: str, number: int = 1, **changes: Any) -> tuple[Job, Served]:
    """A job of the task that won, and the artifact that it published."""
    asked = trigger(task)
    now = datetime.now(UTC)
    job = Job(
        job_id=ids.derived(asked.decided_at, "job", asked.trigger_id),
        trigger_id=asked.trigger_id,
        task=task,
        number=number,
        attempt=1,
        state=JobState.WON,
        at=now,
        heartbeat_at=now,
        version=f"{task}@{number}",
        trigger=asked,
        result={"against": f"{task}@0"},
    )
    work = settings.home / f"work-{number}"
    work.mkdir()
    (work / "head.safetensors").write_bytes(b"weights")
    manifest = bundle.Manifest(
        version=job.version,
        task=task,
        job_id=job.job_id,
        attempt=1,
        candidate="probe",
        base="minilm-l6",
        method="probe",
        labels=("hr", "it"),
        created_at=now,
    )
    published = bundle.publish(work, settings.artifacts, manifest)
    served = Served(
        version=job.version, artifact=str(published.path), digest=published.digest, job_id=job.job_id, attempt=1
    )
    return job.model_copy(update=changes), served.model_copy()


def request(task: str, kind: RequestKind, candidate: Served | None = None, **fields: Any) -> RolloutRequest:
    now = datetime.now(UTC)
    return RolloutRequest(
        request_id=ids.uuid7(now), task=task, kind=kind, at=now, by="test", candidate=candidate, **fields
    )


class Gateway:
    """Stands for a gateway: acknowledges each promotion of a task with a heartbeat a tenth of a second."""

    def __init__(self, settings: Settings, task: str, name: str = "gw") -> None:
        self._settings, self._task, self._name = settings, task, name
        self.error_on = ""
        self.refuses_to_load = False

    @contextlib.asynccontextmanager
    async def serving(self, promotions: Tail) -> AsyncIterator[None]:
        beating = asyncio.create_task(self._beat(promotions))
        try:
            yield
        finally:
            beating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beating

    async def _beat(self, promotions: Tail) -> None:
        while True:
            seen = [one for one in promotions.records if one.task == self._task]
            if seen:
                await send(self._settings, REPLICAS, self._heartbeat(seen[-1]))
            await asyncio.sleep(0.1)

    def _heartbeat(self, promotion: Promotion) -> Replica:
        wanted = [one for one in (promotion.live, promotion.canary, promotion.shadow) if one]
        tried = promotion.canary or promotion.shadow
        bad = [one for one in wanted if one.version == self.error_on]
        loaded = [promotion.live] if self.refuses_to_load else [one for one in wanted if one not in bad]
        return Replica(
            replica=self._name,
            task=self._task,
            at=datetime.now(UTC),
            generation=promotion.generation,
            live=promotion.live.version,
            ready=[one.version for one in loaded],
            error=f"{bad[0].version} failed its parity check" if bad else "",
            candidate=tried.version if tried else "",
            candidate_error=f"{bad[0].version} failed its parity check" if bad and bad[0] == tried else "",
        )


def traffic(
    warehouse: Warehouse, task: str, arm: str, version: str, count: int, wrong: int = 0, audited: int = 0
) -> None:
    """Answers of now, the first `audited` of them labelled blind and the first `wrong` of those wrong."""
    answers: list[Inference] = []
    labels: list[Feedback] = []
    for number in range(count):
        answers.append(
            new_inference(
                task, version, arm=arm, label="hr", latency_ms=12.0, audited=number < audited, audit_probability=0.5
            )
        )
        if number < audited:
            truth = "it" if number < wrong else "hr"
            labels.append(new_feedback(answers[-1].inference_id, "audit", "label", label=truth))
    insert(warehouse, "inferences", answers)
    insert(warehouse, "feedback", labels)


def insert(warehouse: Warehouse, table: str, events: Sequence[Inference | Feedback]) -> None:
    place: dict[str, Any] = {"kafka_topic": "t", "kafka_partition": 0, "kafka_offset": 0, "kafka_index": 0, "extra": ""}
    place |= {"signed": True} if table == "inferences" else {}
    warehouse.insert(
        table, [json.dumps(event.model_dump(mode="json", exclude_none=True) | place).encode() for event in events]
    )


def of(task: str, step: Step | None = None, generation: int = 0) -> Callable[[list[Promotion]], list[Promotion]]:
    """The task's promotions, on that step, from that generation on."""
    return lambda found: [
        one for one in found if one.task == task and one.generation >= generation and (step is None or one.step is step)
    ]


def refusals(task: str, least: int = 1) -> Callable[[list[Action]], list[Action]]:
    """The task's refused requests, once there are so many."""

    def found(actions: list[Action]) -> list[Action]:
        refused = [one for one in actions if one.task == task and one.detail.get("result") == "refused"]
        return refused if len(refused) >= least else []

    return found


async def test_a_candidate_walks_from_shadow_to_live(stack: Settings, warehouse: Warehouse, processes: Start) -> None:
    """Seed, shadow, two canary steps, live: each when its evidence is there, through a SIGKILL of the consumer."""
    settings = planned(stack, "walk")
    job, candidate = won(settings, "walk")
    process = await processes(settings, ROLLOUT, "rollout").ready()
    async with tail(settings, PROMOTIONS) as promotions:
        (first,) = await promotions.until(of("walk"))
        assert (first.generation, first.step, first.live.version) == (1, Step.STEADY, "walk@0")
        async with Gateway(settings, "walk").serving(promotions):
            await send(settings, JOBS, job)
            asked = request("walk", RequestKind.PROMOTE, candidate, generation=1, reason="cheaper")
            await send(settings, ROLLOUTS, asked, asked)
            (shadow,) = await promotions.until(of("walk", Step.SHADOW))
            assert (shadow.generation, shadow.shadow, shadow.request_id) == (2, candidate, asked.request_id)
            live = new_inference("walk", "walk@0", label="hr")
            shown = {"arm": "shadow", "parent_id": live.inference_id}
            beside = [new_inference("walk", "walk@1", label="it" if n < 5 else "hr", **shown) for n in range(20)]
            insert(warehouse, "inferences", [live, *beside])
            (canary,) = await promotions.until(of("walk", Step.CANARY))
            assert (canary.generation, canary.canary, canary.canary_share) == (3, candidate, 0.1)
            assert "5 of 20 answers (25.0%) differ" in canary.reason
            process.signal(signal.SIGKILL)
            await process.ended()
            await processes(settings, ROLLOUT, "rollout").ready()
            traffic(warehouse, "walk", "canary", "walk@1", 30, audited=10, wrong=1)
            traffic(warehouse, "walk", "live", "walk@0", 50, audited=30, wrong=3)
            (second,) = await promotions.until(of("walk", Step.CANARY, generation=4))
            assert second.canary_share == 0.5
            assert "1 of 10 audited answers wrong (live: 3 of 30)" in second.reason
            traffic(warehouse, "walk", "canary", "walk@1", 30)
            (done,) = await promotions.until(of("walk", Step.STEADY, generation=2))
            assert (done.generation, done.live, done.previous.version) == (5, candidate, "walk@0")
            assert done.since == done.at
            # And back by hand, at once; a second time there is nothing to go back to.
            back = request("walk", RequestKind.ROLL_BACK, generation=5, reason="I say so")
            await send(settings, ROLLOUTS, back, request("walk", RequestKind.ROLL_BACK))
            (rolled,) = await promotions.until(lambda found: [one for one in of("walk")(found) if one.generation == 6])
            assert (rolled.live.version, rolled.previous, rolled.request_id) == ("walk@0", None, back.request_id)
            async with tail(settings, ACTIONS) as actions:
                (refused,) = await actions.until(refusals("walk"))
            assert "no version before walk@0" in refused.detail["reason"]
    # What was refused changed nothing: no generation that replicas would have to acknowledge, no clock.
    assert [one.generation for one in of("walk")(promotions.records)] == list(range(1, 7))
    async with tail(settings, ACTIONS) as actions:
        # Each generation has its author; the plan was told once, though rollout was started twice.
        done = await actions.until(
            lambda found: len(walked := [one for one in found if one.task == "walk"]) > 6 and walked
        )
        assert [(one.detail["generation"], one.kind, one.by) for one in done] == [
            (1, "promotion", "rollout"),
            (2, "promotion", "test"),
            (3, "promotion", "rollout"),
            (4, "promotion", "rollout"),
            (5, "promotion", "rollout"),
            (6, "rollback", "test"),
            (6, "rollback", "test"),
        ]
        assert done[5].detail["request_id"] == str(back.request_id) and done[6].detail["result"] == "refused"
        assert [one.by for one in actions.records if one.kind == "plan_changed"] == ["rollout"]


async def test_a_bad_candidate_is_rolled_back(stack: Settings, warehouse: Warehouse, processes: Start) -> None:
    """A failed parity check, bad audit labels and a gateway's abort each send everyone back to the live version."""
    settings = planned(stack, "bad")
    await processes(settings, ROLLOUT, "rollout").ready()
    gateway = Gateway(settings, "bad")
    async with tail(settings, PROMOTIONS) as promotions, gateway.serving(promotions):
        job, candidate = won(settings, "bad", 1)
        await send(settings, JOBS, job)
        gateway.error_on = "bad@1"
        await send(settings, ROLLOUTS, request("bad", RequestKind.PROMOTE, candidate))
        (back,) = await promotions.until(of("bad", Step.STEADY, generation=3))
        assert (back.live.version, back.shadow) == ("bad@0", None)
        assert back.reason == "a replica reports: gw: bad@1 failed its parity check"

        job, candidate = won(settings, "bad", 2)
        await send(settings, JOBS, job)
        await send(settings, ROLLOUTS, request("bad", RequestKind.PROMOTE, candidate))
        await promotions.until(of("bad", Step.SHADOW, generation=4))
        traffic(warehouse, "bad", "shadow", "bad@2", 20)
        await promotions.until(of("bad", Step.CANARY, generation=5))
        traffic(warehouse, "bad", "live", "bad@0", 200, audited=200, wrong=10)
        traffic(warehouse, "bad", "canary", "bad@2", 20, audited=20, wrong=15)
        (back,) = await promotions.until(of("bad", Step.STEADY, generation=6))
        assert back.reason.startswith("15 of 20 audited answers were wrong where the live version had 10 of 200")

        job, candidate = won(settings, "bad", 3)
        await send(settings, JOBS, job)
        await send(settings, ROLLOUTS, request("bad", RequestKind.PROMOTE, candidate))
        (shadow,) = await promotions.until(of("bad", Step.SHADOW, generation=7))
        abort = request("bad", RequestKind.ABORT, candidate, generation=shadow.generation, reason="3 of 3 failed")
        await send(settings, ROLLOUTS, abort)
        (aborted,) = await promotions.until(of("bad", Step.STEADY, generation=8))
        assert (aborted.reason, aborted.request_id) == ("test: 3 of 3 failed", abort.request_id)


async def test_a_shadow_waits_for_labels_of_disagreements(
    stack: Settings, warehouse: Warehouse, processes: Start
) -> None:
    """What differs is drawn for experts, with its probability; their labels, and nothing else, let it go on."""
    settings = planned(stack, "paired", labels=True)
    await processes(settings, ROLLOUT, "rollout").ready()
    async with tail(settings, PROMOTIONS) as promotions, Gateway(settings, "paired").serving(promotions):
        job, candidate = won(settings, "paired", 1)
        await send(settings, JOBS, job)
        await send(settings, ROLLOUTS, request("paired", RequestKind.PROMOTE, candidate))
        await promotions.until(of("paired", Step.SHADOW))
        asked = [new_inference("paired", "paired@0", label="hr") for _ in range(400)]
        shown = [
            new_inference(
                "paired", "paired@1", label="it" if n < 80 else "hr", arm="shadow", parent_id=one.inference_id
            )
            for n, one in enumerate(asked)
        ]
        insert(warehouse, "inferences", [*asked, *shown])
        queue = "SELECT inference_id, inclusion_probability AS chance FROM review_queue WHERE task = 'paired'"
        async with asyncio.timeout(60):
            while not (drawn := await asyncio.to_thread(warehouse.rows, queue)):
                await asyncio.sleep(0.2)
        await promotions.more(3.0)
        assert of("paired")(promotions.records)[-1].step is Step.SHADOW
        differing = {one.inference_id for one in asked[:80]}
        assert {row["chance"] for row in drawn} == {0.5} and 20 < len(drawn) < 60
        assert {row["inference_id"] for row in drawn} <= differing
        labels = [new_feedback(row["inference_id"], "audit", "label", label="it") for row in drawn]
        insert(warehouse, "feedback", labels)
        (canary,) = await promotions.until(of("paired", Step.CANARY))
        assert f"of {len(drawn)} of these that were reviewed it gained {len(drawn)} and lost 0" in canary.reason


async def test_what_must_not_be_promoted_is_refused(stack: Settings, processes: Start) -> None:
    """An older attempt, a changed artifact and a missing one are refused with a reason, and nothing else changes."""
    settings = planned(stack, "strict")
    await processes(settings, ROLLOUT, "rollout").ready()
    async with tail(settings, PROMOTIONS) as promotions, tail(settings, ACTIONS) as actions:
        job, candidate = won(settings, "strict", 1, attempt=2)
        await send(settings, JOBS, job)
        await send(settings, ROLLOUTS, request("strict", RequestKind.PROMOTE, candidate))
        first = await actions.until(refusals("strict"))
        assert "is of attempt 1, and the job's current attempt is 2" in first[0].detail["reason"]

        job, candidate = won(settings, "strict", 2)
        (Path(candidate.artifact) / "head.safetensors").write_bytes(b"other weights")
        await send(settings, JOBS, job)
        await send(settings, ROLLOUTS, request("strict", RequestKind.PROMOTE, candidate))
        assert "its sha256 differs" in (await actions.until(refusals("strict", 2)))[1].detail["reason"]

        nowhere = Served(version="strict@9", artifact=str(settings.home / "nowhere"))
        await send(settings, ROLLOUTS, request("strict", RequestKind.PROMOTE, nowhere))
        assert "there is no artifact at" in (await actions.until(refusals("strict", 3)))[2].detail["reason"]
        await promotions.until(of("strict"))
        await promotions.more(0.5)
        seen = of("strict")(promotions.records)
        assert [(one.generation, one.step, one.live.version) for one in seen] == [(1, Step.STEADY, "strict@0")]


async def test_a_step_without_traffic_is_abandoned(stack: Settings, processes: Start) -> None:
    """A candidate that one replica cannot load holds, and goes when the plan's time for the step is over."""
    settings = planned(stack, "stuck", timeout_s=3)
    await processes(settings, ROLLOUT, "rollout").ready()
    gateway = Gateway(settings, "stuck")
    gateway.refuses_to_load = True
    async with tail(settings, PROMOTIONS) as promotions, gateway.serving(promotions):
        job, candidate = won(settings, "stuck", 1)
        await send(settings, JOBS, job)
        await send(settings, ROLLOUTS, request("stuck", RequestKind.PROMOTE, candidate))
        (shadow,) = await promotions.until(of("stuck", Step.SHADOW))
        (back,) = await promotions.until(of("stuck", Step.STEADY, generation=3))
        assert back.reason == "abandoned after 3 s, waiting for 1 of 1 replicas to be ready"
        assert (back.at - shadow.at).total_seconds() >= 3


async def test_one_writer_at_a_time(stack: Settings, processes: Start) -> None:
    """A consumer that slept while another took its tasks over writes no promotion when it wakes."""
    settings = planned(stack, "pair")
    sleeper = await processes(settings, ROLLOUT, "rollout").ready()
    async with tail(settings, PROMOTIONS) as promotions:
        await promotions.until(of("pair"))
        sleeper.signal(signal.SIGSTOP)
        successor = processes(settings, ROLLOUT, "rollout-2")
        job, candidate = won(settings, "pair", 1)
        await send(settings, JOBS, job)
        await send(settings, ROLLOUTS, request("pair", RequestKind.PROMOTE, candidate))
        await promotions.until(of("pair", Step.SHADOW), 60)
        sleeper.signal(signal.SIGCONT)
        await send(settings, ROLLOUTS, request("pair", RequestKind.ROLL_BACK))
        await promotions.until(of("pair", Step.STEADY, generation=3), 60)
        await promotions.more(2.0)
        assert [one.generation for one in of("pair")(promotions.records)] == [1, 2, 3]
    assert successor.popen.poll() is None
