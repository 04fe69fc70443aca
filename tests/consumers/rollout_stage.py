"""A rollout's plan, candidate, requests, gateway and traffic, made by hand."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from following import Process, Tail, send, trigger

from headrace.contract import ids
from headrace.contract.actions import Action
from headrace.contract.control import Job, JobState, Promotion, Replica, RequestKind, RolloutRequest, Served, Step
from headrace.contract.events import Feedback, Inference, new_feedback, new_inference
from headrace.contract.topics import REPLICAS
from headrace.models import bundle
from headrace.settings import Settings
from headrace.warehouse import Warehouse

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
        tried = promotion.candidate
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
    # A look between the two sees the answers with their labels, or none.
    insert(warehouse, "feedback", labels)
    insert(warehouse, "inferences", answers)


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
