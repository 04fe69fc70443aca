"""People who ask the gateways at a steady rate."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count

import aiohttp

SESSION = 3
TIMEOUT_S = 30.0
TRIES = 3
"""A broken connection is tried again as often as OpenAI's clients do."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One request. inference: empty where it failed; repeated: how often its connection broke"""

    began: datetime
    ended: datetime
    version: str
    inference: str
    repeated: int


class Traffic:
    """An open loop: a request begins when it is due, whether others were answered or not."""

    def __init__(self, url: str, texts: Sequence[str], rate: float) -> None:
        self.answers: list[Answer] = []
        self.refusals: list[str] = []
        self.stopping = asyncio.Event()
        self._url, self._texts, self._rate = f"{url}/v1/route", texts, rate

    async def run(self) -> None:
        """Ask until `stopping`, then wait for the last answers."""
        asked: set[asyncio.Task[None]] = set()
        timeout, connector = aiohttp.ClientTimeout(total=TIMEOUT_S), aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            began = time.perf_counter()
            for number in count():
                await asyncio.sleep(max(0.0, began + number / self._rate - time.perf_counter()))
                if self.stopping.is_set():
                    break
                asked.add(task := asyncio.create_task(self._ask(session, number)))
                task.add_done_callback(asked.discard)
            await asyncio.gather(*asked)

    async def _ask(self, session: aiohttp.ClientSession, number: int) -> None:
        body = {"text": self._texts[number % len(self._texts)], "session_id": f"session-{number // SESSION}"}
        began, version, inference = datetime.now(UTC), "", ""
        for repeated in range(TRIES):  # noqa: B007 - how often is kept
            try:
                async with session.post(self._url, json=body) as response:
                    if response.status == 200:
                        answer = await response.json()
                        version, inference = answer["version"], answer["inference_id"]
                    else:
                        self.refusals.append(f"{response.status} {(await response.text())[:200]}")
                    break
            except (aiohttp.ClientConnectionError, TimeoutError) as broken:
                self.refusals.append(f"{type(broken).__name__} {broken}"[:200])
        self.answers.append(Answer(began, datetime.now(UTC), version, inference, repeated))
