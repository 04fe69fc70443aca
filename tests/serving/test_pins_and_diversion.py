"""Who answers whatever is promoted: a tenant's pinned version, and the incumbent while the live version is broken."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from stage import INCUMBENT, Upstream, dead_bus, gateway, plan_text, versions

from headrace.access.roles import Role
from headrace.bus.memory import MemoryBus
from headrace.contract.control import Served
from headrace.contract.events import Arm
from headrace.errors import ArtifactError
from serving.answering.routing import Desired, diverted, route
from serving.engines.engine import Capability, Engine, EngineFailed, Final, Request
from serving.engines.opening import Opener

ONE, TWO, THREE = (Served(version=f"router@{number}", artifact=f"/a/{number}") for number in (1, 2, 3))
SESSIONS = [f"s{number}" for number in range(60)]


class Fixed(Engine):
    """Says hr to everything, or fails."""

    capabilities, labels = frozenset({Capability.TEXT}), ()

    def __init__(self) -> None:
        self.fails = False

    async def run(self, request: Request) -> AsyncGenerator[Final]:
        if self.fails:
            raise EngineFailed("it fails")
        yield Final(text="hr")

    async def close(self) -> None: ...


@pytest.fixture(autouse=True)
def engines(monkeypatch: pytest.MonkeyPatch) -> dict[str, Fixed]:
    """The engines that were opened of the tuned versions, by version; one without an artifact cannot be."""
    opened: dict[str, Fixed] = {}
    open_now = Opener.open

    async def open_fixed(self: Opener, task: str, served: Served) -> Engine:
        if served.version == INCUMBENT.version:
            return await open_now(self, task, served)
        if served.artifact == "/gone":
            raise ArtifactError("there is no artifact at /gone")
        return opened.setdefault(served.version, Fixed())

    monkeypatch.setattr(Opener, "open", open_fixed)
    return opened


async def test_a_tenant_stays_on_its_pinned_version(tmp_path: Path) -> None:
    """Through a canary, a promotion and a start without Kafka, also once nothing else names it; others follow."""
    async with gateway(plan_text(), tmp_path) as stage:
        acme, other = (stage.key(tenant, Role.INGEST) for tenant in ("acme", "other"))

        async def answered(key: dict[str, str]) -> tuple[str, str]:
            said = (await stage.client.post("/v1/route", json={"text": "pay day?"}, headers=key)).json()
            return said["version"], said["arm"]

        await stage.promote(1, ONE, canary=TWO, canary_share=1.0, pins={"acme": ONE})
        assert (await answered(acme), await answered(other)) == (("router@1", "live"), ("router@2", "canary"))
        await stage.promote(2, THREE, previous=TWO, pins={"acme": ONE})
        assert (await answered(acme), await answered(other)) == (("router@1", "live"), ("router@3", "live"))
        assert stage.service.fleet.table["router"].ready == ["router@1", "router@2", "router@3"]
    async with gateway(plan_text(), tmp_path, gateway_bus=dead_bus(MemoryBus())) as stage:
        assert (await answered(acme), await answered(other)) == (("router@1", "live"), ("router@3", "live"))
    async with gateway(plan_text(), tmp_path) as stage:
        await stage.promote(3, THREE, previous=TWO)
        assert await answered(acme) == ("router@3", "live")
        assert stage.service.fleet.table["router"].ready == ["router@3"]


async def test_the_live_version_stands_in_for_a_pinned_one(tmp_path: Path, engines: dict[str, Fixed]) -> None:
    """As where that cannot be opened; nothing is counted against the live version, and the pin holds afterwards."""
    async with gateway(plan_text(), tmp_path) as stage:
        await stage.promote(1, TWO, pins={"default": ONE})
        engines["router@1"].fails = True
        assert (await stage.route())["version"] == "router@2"
        lane = stage.service.fleet.table["router"]
        assert (lane.live.tally.requests, lane.live.tally.failed) == (1, 0)
        assert (lane.pinned["default"].tally.requests, lane.pinned["default"].tally.failed) == (0, 0)
        engines["router@1"].fails = False
        assert (await stage.route())["version"] == "router@1"


async def test_a_pinned_tenant_is_no_evidence_about_a_candidate(tmp_path: Path, engines: dict[str, Fixed]) -> None:
    """Neither its answers nor its failures count where its version is the canary of everybody else."""
    async with gateway(plan_text(), tmp_path) as stage:
        await stage.promote(1, ONE, canary=TWO, canary_share=0.01, pins={"default": TWO})
        for fails in (False, True):
            engines["router@2"].fails = fails
            for _ in range(10):
                await stage.route()
        lane = stage.service.fleet.table["router"]
        assert lane.canary and not lane.canary.tally.stopped
        assert (lane.canary.tally.requests, lane.canary.tally.failed) == (0, 0)


async def test_a_pinned_version_that_cannot_be_opened_is_said(tmp_path: Path) -> None:
    """The tenant is answered by the live version, and the heartbeat's error names what is wrong."""
    async with gateway(plan_text(), tmp_path) as stage:
        await stage.promote(1, ONE, pins={"default": Served(version="router@2", artifact="/gone")})
        assert (await stage.route())["version"] == "router@1"
        assert "there is no artifact" in stage.service.fleet.table["router"].error


async def test_the_incumbent_answers_its_sessions_while_the_live_version_is_broken(
    upstream: Upstream, tmp_path: Path
) -> None:
    """A session keeps who answers it, and a generation without the share ends it; the arm is live: nothing is tried."""
    async with gateway(plan_text(upstream.url), tmp_path) as stage:
        await stage.promote(1, ONE, incumbent_share=0.4)
        desired = stage.service.fleet.table["router"].desired
        for session in SESSIONS * 2:
            expected = "router@0" if diverted(desired, session) else "router@1"
            assert (await stage.route(session_id=session))["version"] == expected
        assert versions(stage.recorded.inferences) == {"router@0", "router@1"}
        assert {event.arm for event in stage.recorded.inferences} == {Arm.LIVE}
        await stage.promote(2, ONE, incumbent_share=0.0)
        assert {(await stage.route(session_id=session))["version"] for session in SESSIONS} == {"router@1"}


async def test_a_dead_incumbent_costs_a_broken_version_no_request(
    upstream: Upstream, engines: dict[str, Fixed], tmp_path: Path
) -> None:
    """The live version answers after all; both failing is a 502, and no failure of the incumbent is the live one's."""
    async with gateway(plan_text(upstream.url), tmp_path) as stage:
        await stage.promote(1, ONE, incumbent_share=0.9)
        upstream.failures = [500] * 1000
        assert {(await stage.route(session_id=session))["version"] for session in SESSIONS} == {"router@1"}
        assert stage.service.fleet.table["router"].live.tally.failed == 0
        engines["router@1"].fails = True
        assert (await stage.client.post("/v1/route", json={"text": "a"})).status_code == 502


def test_a_share_is_of_the_sessions_that_the_canary_leaves() -> None:
    """40 % within four standard errors; a growing share only adds sessions; who meets the canary meets it still."""
    sessions = [f"session-{number}" for number in range(20_000)]
    live = Served(version="router@1", artifact="a")

    def incumbents(share: float) -> set[str]:
        return {each for each in sessions if diverted(Desired(1, live, incumbent_share=share), each)}

    assert abs(len(incumbents(0.4)) / len(sessions) - 0.4) < 4 * (0.4 * 0.6 / len(sessions)) ** 0.5
    assert not incumbents(0.0) and incumbents(0.2) < incumbents(0.4)
    tried = Desired(2, live, Served(version="router@2"), 0.25)
    met = {each for each in sessions if route(tried, each) is Arm.CANARY}
    assert abs(len(met & incumbents(0.4)) / len(sessions) - 0.1) < 0.01
