"""A live version that fails: another one answers by the plan; and an incumbent that the plan renames."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from stage import INCUMBENT, Upstream, gateway, plan_text, until

from headrace.contract.control import Served
from serving.engines.engine import EngineFailed
from serving.versions.loaded import LoadedVersion

Model = Callable[[int, str], Served]


async def test_a_live_version_that_fails_is_stood_in_for(
    upstream: Upstream, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the version before it, which is loaded, then by the incumbent; where the plan names neither it is a 502."""
    first, second = model(1, "hr"), model(2, "finance")
    async with gateway(plan_text(upstream.url), tmp_path / "a") as stage:
        await stage.promote(1, first)
        await stage.promote(2, second, previous=first)
        lane = stage.service.fleet.table["router"]
        assert lane.standby is not None and lane.incumbent is not None
        failing(lane.live, monkeypatch)
        assert (await stage.route())["version"] == "router@1"
        failing(lane.standby, monkeypatch)
        answer = await stage.route()
        assert (answer["version"], answer["label"], answer["arm"]) == ("router@0", "it", "live")
        metrics = (await stage.client.get("/metrics")).text
        assert 'headrace_stand_ins_total{failed="router@2",task="router",version="router@0"} 1.0' in metrics
        upstream.failures = [500, 500]
        assert (await stage.client.post("/v1/route", json={"text": "a"})).status_code == 502
    async with gateway(plan_text(upstream.url, rollout="fallback = []"), tmp_path / "b") as stage:
        await stage.promote(1, first)
        failing(stage.service.fleet.table["router"].live, monkeypatch)
        assert (await stage.client.post("/v1/route", json={"text": "a"})).status_code == 502


async def test_an_incumbent_that_the_plan_renames_serves_under_its_new_name(upstream: Upstream, tmp_path: Path) -> None:
    """A promotion from before names it as it was called; the gateway is ready, and rolls back to it, too."""
    text = plan_text(upstream.url).replace('"router@0"', '"big@2"')
    async with gateway(text, tmp_path) as stage:
        await stage.promote(3, INCUMBENT)
        assert (await stage.route())["version"] == "big@2"
        await until(lambda: not stage.service.unready())


async def test_an_image_goes_to_an_incumbent_that_takes_images(
    upstream: Upstream, model: Model, tmp_path: Path
) -> None:
    """As it came; a tuned version reads the text beside it, and where there is none the incumbent stands in."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    both = [{"type": "text", "text": "pay day?"}, image]
    text = plan_text(upstream.url).replace('model = "big"', 'model = "big"\nimages = true')
    async with gateway(text, tmp_path) as stage:
        for parts in ([image], both):
            asked = {"model": "router", "messages": [{"role": "user", "content": parts}]}
            assert (await stage.client.post("/v1/chat/completions", json=asked)).status_code == 200
            assert upstream.requests[-1]["messages"][-1]["content"] == parts
        newer = {"type": "input_image", "image_url": image["image_url"]["url"]}  # type: ignore[index]
        items = [{"role": "user", "content": [{"type": "input_text", "text": "pay day?"}, newer]}]
        assert (await stage.client.post("/v1/responses", json={"model": "router", "input": items})).status_code == 200
        assert upstream.requests[-1]["messages"][-1]["content"] == both
        assert {event.extra["images"] for event in stage.recorded.inferences} == {True}
        await stage.promote(1, model(1, "hr"))
        for parts, version in (([image], "router@0"), (both, "router@1")):
            asked = {"model": "router", "messages": [{"role": "user", "content": parts}]}
            answer = (await stage.client.post("/v1/chat/completions", json=asked)).json()
            assert answer["headrace"]["version"] == version
        assert not stage.service.fleet.table["router"].live.tally.failed


def failing(version: LoadedVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a loaded version fail from now on."""

    async def fails(*_: object) -> None:
        raise EngineFailed("the host is gone")

    monkeypatch.setattr(version, "answer", fails)
