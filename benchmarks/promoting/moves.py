"""Promotions and roll backs, one after the other, and the faults that come in the middle of three of them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle, islice
from typing import Any

from benchmarks.chaos.stage import Stage
from benchmarks.promoting.record import Outage, Record
from benchmarks.waiting import Late
from headrace.bus.kafka import KafkaProducer
from headrace.contract import ids
from headrace.contract.control import RequestKind, RolloutRequest, Served, Step
from headrace.contract.topics import ROLLOUTS
from headrace.process.readiness import responds

TASK = "router"
AWAY_S = 20.0
DIVERTED, DIVERTED_S = 0.2, 3.0
WITHIN_S = 180.0


@dataclass(frozen=True, slots=True)
class Move:
    """What was asked for, what serves now, and how long that took in seconds."""

    kind: str
    wanted: str
    served: str
    took_s: float
    beside: str


class Upstream:
    """The simulated incumbent, which can be away."""

    def __init__(self, port: int) -> None:
        self._port, self._process = port, None  # type: int, subprocess.Popen[bytes] | None

    def start(self) -> None:
        argv = [sys.executable, "-m", "simulation.upstreams", "--port", str(self._port)]
        self._process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    @property
    def up(self) -> bool:
        return responds(f"http://127.0.0.1:{self._port}/v1/models")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class Moves:
    """Moves of the router, and what was away meanwhile."""

    def __init__(
        self, stage: Stage, record: Record, upstream: Upstream, candidates: Sequence[Served], gateway: str
    ) -> None:
        self.done: list[Move] = []
        self.outages: list[Outage] = []
        self._stage, self._record, self._upstream = stage, record, upstream
        self._candidates, self._gateway = candidates, gateway
        self._producer = KafkaProducer(stage.settings)

    async def run(self, moves: int, every_s: float, calm: bool) -> None:
        """The first candidate takes over from the incumbent; then the others in turns are promoted and rolled back.

        every_s: a move begins so long after the one before, or when that has ended
        """
        faults: Mapping[int, Callable[[], Awaitable[Outage]]] = {
            moves // 5 // 2 * 2: self._upstream_away,
            moves // 2 // 2 * 2: self._gateway_killed,
            moves * 4 // 5 // 2 * 2: self._warehouse_away,
        }
        base, *others = self._candidates
        await self._producer.start()
        try:
            await self._promote(base, None)
            for number, candidate in enumerate(islice(cycle(others), (moves + 1) // 2)):
                fault, due = None if calm else faults.get(2 * number), time.monotonic() + every_s
                await self._promote(candidate, fault)
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if 2 * number + 1 < moves:
                    due = time.monotonic() + every_s
                    await self._roll_back()
                    await asyncio.sleep(max(0.0, due - time.monotonic()))
        finally:
            await self._producer.stop()

    async def _promote(self, candidate: Served, fault: Callable[[], Awaitable[Outage]] | None) -> None:
        if fault == self._upstream_away:
            await self._move(RequestKind.DIVERT, self._record.newest.live.version, share=DIVERTED)
            await asyncio.sleep(DIVERTED_S)
        outage = asyncio.create_task(self._in_shadow(fault, self._record.newest.generation)) if fault else None
        beside = fault.__name__.replace("_", " ").strip() if fault else ""
        await self._move(RequestKind.PROMOTE, candidate.version, beside, candidate=candidate, by_hand=True)
        if outage is not None:
            self.outages.append(await outage)

    async def _roll_back(self) -> None:
        before = self._record.newest.previous
        await self._move(RequestKind.ROLL_BACK, before.version if before else "")

    async def _move(self, kind: RequestKind, wanted: str, beside: str = "", **asked: Any) -> None:
        now, since, generation = datetime.now(UTC), time.monotonic(), self._record.newest.generation
        request = RolloutRequest(
            request_id=ids.uuid7(now),
            task=TASK,
            kind=kind,
            at=now,
            by="bench-promotions",
            **asked,
        )
        await self._producer.send(ROLLOUTS, request.to_json(), TASK.encode())
        while (newest := self._record.newest).generation == generation or newest.step is not Step.STEADY:
            if time.monotonic() - since > WITHIN_S:
                raise Late(f"{kind} of {wanted} did not end: {newest.step}, {newest.reason}")
            await asyncio.sleep(0.05)
        move = Move(kind, wanted, newest.live.version, round(time.monotonic() - since, 2), beside)
        if kind is not RequestKind.DIVERT:
            self.done.append(move)
        print(f"{len(self.done)}: {kind} {wanted}: {move.served} after {move.took_s} s {beside}", flush=True)

    async def _in_shadow(self, fault: Callable[[], Awaitable[Outage]], generation: int) -> Outage:
        """The fault, as soon as the next candidate is tried."""
        while self._record.newest.generation == generation:  # noqa: ASYNC110 (others write it)
            await asyncio.sleep(0.02)
        return await fault()

    async def _upstream_away(self) -> Outage:
        began = datetime.now(UTC)
        self._upstream.kill()
        await asyncio.sleep(AWAY_S)
        self._upstream.start()
        while not await asyncio.to_thread(lambda: self._upstream.up):  # noqa: ASYNC110 (a process)
            await asyncio.sleep(0.1)
        return Outage("upstream", began, datetime.now(UTC))

    async def _gateway_killed(self) -> Outage:
        began, part = datetime.now(UTC), self._gateway
        self._stage.kill(part)
        await asyncio.sleep(1.0)
        await asyncio.to_thread(self._stage.wait_ready, part)
        return Outage(part, began, datetime.now(UTC))

    async def _warehouse_away(self) -> Outage:
        began, until = datetime.now(UTC), time.monotonic() + AWAY_S
        while time.monotonic() < until:
            if pid := self._stage.alive("clickhouse"):
                os.killpg(pid, signal.SIGKILL)
            await asyncio.sleep(0.5)
        await asyncio.to_thread(self._stage.wait_ready, "clickhouse")
        return Outage("warehouse", began, datetime.now(UTC))
