"""Builds events the way a frontend would have sent them and stores them where the streams would have put them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from headrace.contract.events import Event, new_feedback, new_inference
from headrace.contract.ids import uuid7
from headrace.plan import Plan
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from simulation.grammar import World

TASK = "router"
START = datetime(2026, 3, 1, tzinfo=UTC)


class History:
    """Events of one task, one a second from START; `store` writes them."""

    def __init__(self) -> None:
        self._rows: dict[str, list[bytes]] = {"inferences": [], "feedback": []}
        self._now = START

    @property
    def now(self) -> datetime:
        """When the next event happens."""
        return self._now

    def pass_time(self, **delta: float) -> None:
        """Move on."""
        self._now += timedelta(**delta)

    def ask(self, text: str, answered: str, **fields: Any) -> UUID:
        """A question and its answer."""
        at = self._tick()
        defaults = {"version": "router@0", "latency_ms": 900.0, "cost": 0.002, "input": text, "label": answered}
        event = new_inference(TASK, occurred_at=at, **{**defaults, **fields})
        self._keep("inferences", event)
        return event.inference_id

    def recorded(self, text: str, answered: str, signed: bool = True, **fields: Any) -> UUID:
        """An answer as a gateway records it: with its signature, and the consent that the client gave itself."""
        answer = self.ask(text, answered, **{"extra": {"consent": "explicit"}} | fields)
        self._rows["inferences"][-1] = json.dumps(
            json.loads(self._rows["inferences"][-1]) | {"signed": signed}
        ).encode()
        return answer

    def audited(self, text: str, answered: str, label: str, **fields: Any) -> UUID:
        """A question of the base audit and its blind label."""
        answer = self.ask(text, answered, audited=True, audit_probability=0.05, **fields)
        self.say(answer, "audit", "label", label=label, inclusion_probability=0.05, rater="expert-1")
        return answer

    def say(self, answer: UUID, source: str, signal: str, **fields: Any) -> UUID:
        """Feedback on an answer."""
        event = new_feedback(answer, source, signal, occurred_at=self._tick(), task=TASK, **fields)
        self._keep("feedback", event)
        return event.feedback_id

    def store(self, warehouse: Warehouse) -> None:
        """Insert what was not inserted yet."""
        for table, rows in self._rows.items():
            warehouse.insert(table, rows)
            rows.clear()

    def _tick(self) -> datetime:
        self._now += timedelta(seconds=1)
        return self._now

    def _keep(self, table: str, event: Event) -> None:
        fields = event.model_dump(mode="json", exclude_none=True)
        self._rows[table].append(
            json.dumps({**fields, "extra": json.dumps(event.extra) if event.extra else ""}).encode()
        )


def questions(count: int, seed: int = 1) -> list[tuple[str, str]]:
    """Questions of the simulated company's employees as (text, label); none comes twice."""
    return [(question.text, question.label) for question in World(seed).questions(1, count)]


def plan(labels: tuple[str, ...], engines: dict[str, Any] | None = None, **sections: Any) -> Plan:
    """A plan of one task; `sections` replace the task's own."""
    task = {
        "labels": labels,
        "incumbent": {
            "url": "http://127.0.0.1:9/v1",
            "model": "big",
            "version": "router@0",
            "parameters": 70_000_000_000,
        },
        "candidates": {"probe": {"method": "probe"}},
        **sections,
    }
    return Plan.model_validate(
        {"version": 1, "tasks": {TASK: task}, "engines": engines or {}, "budget": {"threads": 2}}
    )


def job_file(settings: Settings, folder: Path, plan: Plan, test_from: datetime, now: datetime, **fields: Any) -> Path:
    """Write a job.json in `folder`, which is also the attempt's work folder."""
    job_id, trigger_id = fields.pop("job_id", uuid7(now)), uuid7(now)
    trigger = {
        "trigger_id": str(trigger_id),
        "task": TASK,
        "kind": "cheaper",
        "decided_at": now.isoformat(),
        "reason": "a test asks for it",
        "test_from": test_from.isoformat(),
        "version": "router@0",
    }
    job = {
        "job_id": str(job_id),
        "trigger_id": str(trigger_id),
        "task": TASK,
        "number": 1,
        "attempt": 1,
        "version": f"{TASK}@{fields.get('number', 1)}",
        "work": str(folder),
        "resume_from": None,
        "trigger": trigger,
        "live": {"version": "router@0"},
        "plan": plan.model_dump(mode="json"),
        "settings": settings.environ(),
        "seed": 7,
        **fields,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "job.json"
    path.write_text(json.dumps(job), "utf-8")
    return path
