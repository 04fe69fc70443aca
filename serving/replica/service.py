"""The gateway as a whole: what is started in which order, and what is stopped."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from pydantic import SecretStr

from headrace.access.proofs import Proofs
from headrace.contract.choice import Choice
from headrace.contract.control import Served
from headrace.errors import HeadraceError
from headrace.plan import Plan
from headrace.spool import KINDS
from serving.answering.gateway import Gateway, Recorder
from serving.engines.opening import Opener
from serving.http.app import build
from serving.http.callers import Callers
from serving.http.capacity import BOUNDS, Bounds, Room
from serving.http.dependencies import Parts
from serving.http.large_work import Turns
from serving.http.limits import Limits
from serving.http.metrics import Metrics
from serving.intake.acceptance import Intake
from serving.otlp.grpc_receiver import GrpcReceiver
from serving.otlp.service import Exports
from serving.proxy.proxy import Proxy
from serving.replica.bus import GatewayBus
from serving.replica.heartbeat import Heartbeat
from serving.versions.fleet import Fleet
from serving.versions.follower import Follower

LAST_S = 2.0


class Service:
    """One gateway, from its start to its end.

    name: of the replica, in acknowledgements
    secret: what answer tokens are made with
    limits: how many events each tenant and each key may send
    proofs: signs its answers
    home: its own folder
    environ: where upstreams' API keys are looked up
    bounds: what requests in progress may hold
    """

    def __init__(
        self,
        plan: Plan,
        callers: Callers,
        secret: SecretStr,
        limits: Limits,
        bus: GatewayBus,
        recorder: Recorder,
        proofs: Proofs,
        home: Path,
        name: str,
        environ: Mapping[str, str],
        bounds: Bounds = BOUNDS,
    ) -> None:
        incumbents = {task: Served(version=spec.incumbent.version) for task, spec in plan.served.items()}
        metrics = Metrics()
        choices = {task: Choice(spec.names, spec.describe) for task, spec in plan.served.items()}
        self.fleet = Fleet(Opener(plan, environ).open, choices, incumbents, lambda: self._heartbeat.changed())
        self._gateway = Gateway(
            plan, self.fleet, recorder, metrics, proofs, lambda stopped: self._heartbeat.stopped(stopped)
        )
        self._proxy = Proxy(plan, recorder, proofs, metrics, environ)
        self._heartbeat = Heartbeat(name, self.fleet, bus.producer, self._gateway.counts)
        self._follower = Follower(plan, bus, home / "promotions.json", self.fleet.want)
        self._metrics = metrics
        self._recorder = recorder
        self._background: list[asyncio.Task[None]] = []
        turns = Turns()
        intake = Intake(recorder, limits, metrics, turns, secret)
        parts = Parts(
            plan=plan,
            gateway=self._gateway,
            proxy=self._proxy,
            intake=intake,
            callers=callers,
            secret=secret,
            limits=limits,
            room=Room(bounds),
            turns=turns,
            metrics=metrics,
            unready=self.unready,
            degraded=self.degraded,
            refresh=self._refresh,
        )
        exports = Exports(parts)
        self.app = build(parts, exports)
        self.grpc = GrpcReceiver(parts, exports)

    async def start(self) -> None:
        """Return when each task has a version that answers. Raises HeadraceError where one has none."""
        await self.fleet.start(await self._follower.first())
        self._gateway.shadows.start()
        self._background = [asyncio.create_task(self._heartbeat.run()), asyncio.create_task(self._follower.run())]

    async def stop(self) -> None:
        """After the last request: stop following, say the last counts, drain and close. Bounded."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self._gateway.shadows.close()
        await self._proxy.close()
        for last in (self._heartbeat.beat, self.fleet.close):
            with contextlib.suppress(HeadraceError, TimeoutError):
                async with asyncio.timeout(LAST_S):
                    await last()

    def unready(self) -> list[str]:
        """Why the gateway is not ready, one sentence each.

        A broker that is away is no reason: it is away for every gateway, and a load balancer would drain them all.
        """
        reasons, reachable = [], self._heartbeat.reachable
        for task, lane in self.fleet.table.items():
            generation = lane.desired.generation
            if unknown := self._follower.unknown(task):
                reasons.append(f"task {task}: nothing says what serves, the plan's incumbent answers: {unknown}")
            elif not lane.complete:
                reasons.append(f"task {task}: generation {generation} is not served: {lane.error}")
            elif self._heartbeat.acknowledged.get(task) != generation and (reachable or self._heartbeat.starting):
                reasons.append(f"task {task}: generation {generation} is not acknowledged yet")
        return reasons

    def degraded(self) -> list[str]:
        """What is wrong although questions are answered and events kept, one sentence each."""
        if self._heartbeat.reachable or self._heartbeat.starting:
            return []
        return ["Kafka does not acknowledge heartbeats; events wait on this machine's disk, promotions do not arrive"]

    def _refresh(self) -> None:
        for task, lane in self.fleet.table.items():
            self._metrics.generation.labels(task).set(lane.desired.generation)
            self._metrics.unreadable.labels(task).set(bool(self._follower.unreadable(task)))
        self._metrics.bus.set(self._heartbeat.reachable)
        self._metrics.shadow_dropped.set(self._gateway.shadows.dropped)
        spooled = self._recorder.spooled
        self._metrics.spool_bytes.set(spooled.size)
        self._metrics.spool_full.set(spooled.refused)
        self._metrics.spool_damaged.set(spooled.damaged)
        for kind in KINDS:
            for state, events in asdict(self._recorder.count(kind)).items():
                self._metrics.emitted.labels(kind, state).set(events)
