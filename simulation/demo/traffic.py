"""Simulated employees at the gateway: they ask in sessions at a steady rate, and some of them react."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp

from headrace.client import Client
from headrace.contract.events import new_feedback
from headrace.warehouse import Warehouse
from simulation.company import react, session_length
from simulation.grammar import Question, World

MAX_AT_ONCE = 128
TIMEOUT_S = 30.0
FLUSH_S = 1.0
CLOSE_S = 30.0
FRONTEND = "simulated-frontend"


def frontend(gateway: str, key: str) -> Client:
    """What records feedback by the gateway with an API key."""
    return Client(url=gateway, key=key, emitter=FRONTEND)


@dataclass(slots=True)
class Traffic:
    """An open loop of sessions; `rate`, `era` and `phase` may be changed while it runs.

    key: the API key that the employees show, empty where none is needed
    rate: questions a second
    feedback_left: how many more answers may get explicit feedback, None for no limit
    """

    gateway: str
    world: World
    client: Client
    warehouse: Warehouse
    key: str = ""
    rate: float = 0.0
    era: int = 1
    phase: str = "start"
    feedback_left: int | None = None
    asked: int = 0
    failed: int = 0
    answers_with_feedback: int = 0
    answered_by: dict[tuple[str, int], int] = field(default_factory=dict)
    _next: dict[int, int] = field(default_factory=lambda: {1: 0, 2: 0})
    _rows: list[bytes] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self, stop: asyncio.Event) -> None:
        """Ask until `stop`, then wait for the last answers and reactions, and store the last rows."""
        flusher = asyncio.create_task(self._flush_often())
        places = asyncio.Semaphore(MAX_AT_ONCE)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        connector = aiohttp.TCPConnector(limit=MAX_AT_ONCE)
        loop = asyncio.get_running_loop()
        due = loop.time()
        number = 0
        async with aiohttp.ClientSession(self.gateway, timeout=timeout, connector=connector) as http:
            while not stop.is_set():
                if self.rate <= 0:
                    due = loop.time() + 0.05
                else:
                    await places.acquire()
                    number += 1
                    rng = random.Random(f"{self.world.seed}/session/{number}")
                    questions = self._draw(session_length(rng))
                    self._launch(self._session(http, places, f"session-{self.world.seed}-{number}", questions, rng))
                    # Never catch up in a burst after a pause: a slow moment lowers the load for good.
                    due = max(due + len(questions) / self.rate, loop.time() - 1.0)
                await asyncio.sleep(max(0.0, due - loop.time()))
            while self._tasks:
                await asyncio.gather(*self._tasks)
        flusher.cancel()
        await self._flush()

    async def show(self, key: str) -> None:
        """Show this API key from now on; what was recorded before it goes out with the former one."""
        former, self.client, self.key = self.client, frontend(self.gateway, key), key
        await asyncio.to_thread(former.close, CLOSE_S)

    def _draw(self, count: int) -> list[Question]:
        start = self._next[self.era]
        self._next[self.era] = start + count
        return self.world.questions(self.era, count, start)

    def _launch(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _session(
        self,
        http: aiohttp.ClientSession,
        places: asyncio.Semaphore,
        session_id: str,
        questions: list[Question],
        rng: random.Random,
    ) -> None:
        user_ref = f"employee-{rng.randrange(4000):04d}"
        try:
            for question in questions:
                await self._ask(http, session_id, user_ref, question, rng)
        finally:
            places.release()

    async def _ask(
        self, http: aiohttp.ClientSession, session_id: str, user_ref: str, question: Question, rng: random.Random
    ) -> None:
        asked_at = datetime.now(UTC)
        started = asyncio.get_running_loop().time()
        self.asked += 1
        number = self.asked
        body = {"text": question.text, "task": "router", "session_id": session_id, "user_ref": user_ref}
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        status, answer = 0, dict[str, Any]()
        try:
            async with http.post("/v1/route", json=body, headers=headers) as response:
                status = response.status
                if status == 200:
                    answer = await response.json()
        except (aiohttp.ClientError, TimeoutError):
            pass
        ok = bool(answer)
        self.failed += not ok
        self._rows.append(
            json.dumps(
                {
                    "request": number,
                    "asked_at": asked_at.isoformat(),
                    "phase": self.phase,
                    "era": question.era,
                    "intent": question.intent,
                    "truth": question.label,
                    "session_id": session_id,
                    "inference_id": answer.get("inference_id"),
                    "answered": answer.get("label") or "",
                    "version": answer.get("version", ""),
                    "arm": answer.get("arm", ""),
                    "ok": ok,
                    "status": status,
                    "latency_ms": (asyncio.get_running_loop().time() - started) * 1000,
                }
            ).encode()
        )
        if ok:
            if answer["arm"] == "live":
                key = (answer["version"], question.era)
                self.answered_by[key] = self.answered_by.get(key, 0) + 1
            self._react(answer, question, session_id, rng)

    def _react(self, answer: dict[str, Any], question: Question, session_id: str, rng: random.Random) -> None:
        reactions = react(question, answer["label"], rng)
        if not reactions or self.feedback_left == 0:
            return
        if self.feedback_left is not None:
            self.feedback_left -= 1
        self.answers_with_feedback += 1
        for reaction in reactions:
            feedback = new_feedback(
                answer["inference_id"],
                reaction.source,
                reaction.signal,
                task="router",
                value=reaction.value,
                label=reaction.label,
                comment=reaction.comment,
                rater=session_id,
            )
            self.client.feedback(feedback)

    async def _flush_often(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            await self._flush()

    async def _flush(self) -> None:
        rows, self._rows = self._rows, []
        if rows:
            await asyncio.to_thread(self.warehouse.insert, "simulation_requests", rows)
