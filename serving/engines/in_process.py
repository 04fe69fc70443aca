"""A published artifact, scored in this process in dynamic batches on one worker thread."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from headrace.models.families import Model
from headrace.models.tensors import Floats
from serving.engines.engine import Answer, EngineFailed

MAX_BATCH = 32
WAIT_S = 0.003


@dataclass(slots=True)
class _Waiting:
    text: str
    answer: asyncio.Future[Answer]


class InProcess:
    """Batches what arrives while the worker is busy.

    A batch starts at once when the worker is free, except that after a batch of several it waits up to WAIT_S for as
    many again: a lone client pays no delay, and clients that ask in step are answered together. A request's cost is
    its share of the seconds the worker was busy with its batch.

    usd_per_hour: price of the machine
    """

    def __init__(self, scorer: Model, usd_per_hour: float) -> None:
        self._scorer = scorer
        self._labels = tuple(scorer.labels)
        self._usd_per_s = usd_per_hour / 3600
        self._queue: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._expected = 1
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="encoder")
        self._batches = asyncio.create_task(self._serve())

    async def answer(self, text: str) -> Answer:
        """Raises EngineFailed where the model fails or gives something that is no probability."""
        waiting = _Waiting(text, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._arrived.set()
        return await waiting.answer

    async def close(self) -> None:
        self._batches.cancel()
        for waiting in self._queue:
            waiting.answer.cancel()
        await asyncio.to_thread(self._thread.shutdown)

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = await self._collect()
            self._expected = len(batch)
            started = time.perf_counter()
            try:
                scores, tokens, busy_s = await loop.run_in_executor(
                    self._thread, self._score, [each.text for each in batch]
                )
            except Exception as error:  # whatever a model raises is this batch's failure, and no later one's
                for each in batch:
                    if not each.answer.done():
                        each.answer.set_exception(EngineFailed(f"the model failed: {error}"))
                continue
            elapsed_ms = (time.perf_counter() - started) * 1000
            cost = busy_s / len(batch) * self._usd_per_s
            for each, row, length in zip(batch, scores, tokens, strict=True):
                if not each.answer.done():
                    each.answer.set_result(self._answer(row, length, elapsed_ms, cost))

    async def _collect(self) -> list[_Waiting]:
        while not self._queue:
            self._arrived.clear()
            await self._arrived.wait()
        deadline = time.perf_counter() + WAIT_S
        while len(self._queue) < min(self._expected, MAX_BATCH):
            left = deadline - time.perf_counter()
            if left <= 0:
                break
            self._arrived.clear()
            try:
                async with asyncio.timeout(left):
                    await self._arrived.wait()
            except TimeoutError:
                break
        return [self._queue.popleft() for _ in range(min(len(self._queue), MAX_BATCH))]

    def _score(self, texts: list[str]) -> tuple[Floats, list[int], float]:
        started = time.perf_counter()
        scores = self._scorer.score(texts)
        if scores.shape != (len(texts), len(self._labels)) or not np.isfinite(scores).all():
            raise ValueError("its scores are not probabilities")
        return scores, self._scorer.tokens(texts), time.perf_counter() - started

    def _answer(self, row: Floats, tokens: int, elapsed_ms: float, cost: float) -> Answer:
        # Rounding in float32 may leave a probability a hair above 1, which the event contract refuses.
        scores = {label: min(1.0, max(0.0, float(score))) for label, score in zip(self._labels, row, strict=True)}
        label = self._labels[int(row.argmax())]
        return Answer(label, first_token_ms=elapsed_ms, scores=scores, tokens_in=tokens, cost=cost)
