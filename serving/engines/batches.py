"""Dynamic batches: questions that arrive while the worker is busy are scored together, on one thread."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from serving.engines.engine import EngineFailed

if TYPE_CHECKING:
    from headrace.models.tensors import Floats

MAX_BATCH = 32
WAIT_S = 0.003


class Scorer(Protocol):
    """headrace.models.family.Model, as far as batches need it."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    def score(self, texts: Sequence[str]) -> Floats: ...

    def tokens(self, texts: Sequence[str]) -> list[int]: ...


@dataclass(frozen=True, slots=True)
class Scored:
    """One question's probabilities by label, how many tokens were read, how long its batch took."""

    scores: dict[str, float]
    tokens: int
    elapsed_ms: float


@dataclass(slots=True)
class _Waiting:
    text: str
    scored: asyncio.Future[Scored]


class Batches:
    """Scores questions in batches of at most MAX_BATCH.

    A batch starts at once when the worker is free, except that after a batch of several it waits up to WAIT_S for as
    many again: a lone client pays no delay, and clients that ask in step are answered together.
    """

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._labels = tuple(scorer.labels)
        self._queue: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._expected = 1
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="scoring")
        self._batches = asyncio.create_task(self._serve())

    async def score(self, text: str) -> Scored:
        """Raises EngineFailed where the model fails or gives something that is no probability.

        A question that is cancelled before its batch starts is not scored.
        """
        waiting = _Waiting(text, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._arrived.set()
        return await waiting.scored

    async def close(self) -> None:
        """What has not been scored raises EngineFailed."""
        self._batches.cancel()
        await asyncio.gather(self._batches, return_exceptions=True)
        _fail(self._queue, "the engine was closed")
        await asyncio.to_thread(self._thread.shutdown)

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = await self._collect()
            self._expected = len(batch)
            started = time.perf_counter()
            try:
                found = await loop.run_in_executor(self._thread, self._tried, [each.text for each in batch])
            except asyncio.CancelledError:
                _fail(batch, "the engine was closed")
                raise
            if isinstance(found, BaseException):
                _fail(batch, f"the model failed: {found}")
                continue
            elapsed_ms = (time.perf_counter() - started) * 1000
            for each, (row, length) in zip(batch, found, strict=True):
                if not each.scored.done():
                    each.scored.set_result(Scored(dict(zip(self._labels, row, strict=True)), length, elapsed_ms))

    async def _collect(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        while not batch:
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
            while self._queue and len(batch) < MAX_BATCH:
                waiting = self._queue.popleft()
                if not waiting.scored.done():  # nobody waits for those that were cancelled
                    batch.append(waiting)
        return batch

    def _tried(self, texts: list[str]) -> list[tuple[list[float], int]] | BaseException:
        """Each text's probabilities and how many tokens it has, or what the model raised.

        Whatever that is fails this batch and no later one: a panic of a tokenizer's Rust code is no Exception, and a
        future takes no StopIteration.
        """
        try:
            return self._score(texts)
        except BaseException as error:
            return error

    def _score(self, texts: list[str]) -> list[tuple[list[float], int]]:
        import numpy as np

        scores, tokens = self._scorer.score(texts), self._scorer.tokens(texts)
        if scores.shape != (len(texts), len(self._labels)) or not np.isfinite(scores).all():
            raise ValueError("its scores are not probabilities")
        if len(tokens) != len(texts):
            raise ValueError(f"it counted the tokens of {len(tokens)} texts, and there were {len(texts)}")
        # Rounding in float32 may leave a probability a hair above 1, which the event contract refuses.
        return list(zip(scores.clip(0.0, 1.0).tolist(), tokens, strict=True))


def _fail(waiting: Sequence[_Waiting] | deque[_Waiting], why: str) -> None:
    for each in waiting:
        if not each.scored.done():
            each.scored.set_exception(EngineFailed(why))
