"""Candidates that answer beside the live version, for nobody: their answers are compared, never shown."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from headrace.contract import ids
from headrace.contract.events import Arm, Inference
from serving.engines.engine import EngineBusy
from serving.versions.loaded import LoadedVersion

MAX_WAITING = 64


@dataclass(frozen=True, slots=True)
class Shadowed:
    """An answer that was given, and the candidate to ask the same."""

    live: Inference
    candidate: LoadedVersion


class Shadows:
    """Asks candidates one question at a time, after the live answer has gone out.

    A full queue drops: a candidate needs enough comparisons, not all of them, and it must not take the processor from
    the version that people wait for.

    record: called with each candidate's Inference; failed: called with each that did not answer
    """

    def __init__(self, record: Callable[[Inference], object], failed: Callable[[Shadowed], None]) -> None:
        self.dropped = 0
        self._record = record
        self._failed = failed
        self._queue: asyncio.Queue[Shadowed] = asyncio.Queue(MAX_WAITING)
        self._worker: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._worker = asyncio.create_task(self._work())

    async def close(self) -> None:
        """What still waits is dropped."""
        if self._worker:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)

    def offer(self, shadowed: Shadowed) -> None:
        """Ask later, or drop."""
        try:
            self._queue.put_nowait(shadowed)
        except asyncio.QueueFull:
            self.dropped += 1

    async def _work(self) -> None:
        while True:
            shadowed = await self._queue.get()
            if shadowed.candidate.retired or shadowed.candidate.tally.stopped:
                continue
            try:
                self._record(await _compared(shadowed))
            except EngineBusy:  # others' requests fill its host, which says nothing about the candidate
                self.dropped += 1
            except Exception:  # whatever happened, it is the candidate's failure and nobody waits for it
                self._failed(shadowed)
            else:
                shadowed.candidate.tally.requests += 1


async def _compared(shadowed: Shadowed) -> Inference:
    started = time.perf_counter()
    answer = await shadowed.candidate.answer(shadowed.live.input)
    live, version = shadowed.live, shadowed.candidate.served.version
    return Inference(
        inference_id=ids.derived(live.occurred_at, "shadow", version, live.inference_id),
        occurred_at=live.occurred_at,
        tenant=live.tenant,
        key_id=live.key_id,
        emitter=live.emitter,
        task=live.task,
        version=version,
        arm=Arm.SHADOW,
        session_id=live.session_id,
        user_ref=live.user_ref,
        input=live.input,
        consent=live.consent,
        parent_id=live.inference_id,
        latency_ms=(time.perf_counter() - started) * 1000,
        extra=dict(answer.extra),
        **answer.fields(),
    )
