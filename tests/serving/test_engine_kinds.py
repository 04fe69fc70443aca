"""Kinds of engines: one file and one table of the plan add one; hosts are shared, counted and closed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bundles import LABELS, artifact
from stage import gateway, plan_text

from headrace import kinds, plan
from headrace.contract.choice import Choice
from headrace.errors import ArtifactError, PlanError
from headrace.models.families import load_base, open_bundle
from headrace.models.families.encoder import Scorer
from serving.engines.classify import classify
from serving.engines.engine import Message, Request, final_of
from serving.engines.opening import Opener

CHOICE = Choice({label: label for label in LABELS}, {})
ECHO = '''
"""An engine that says what it is told, with a greeting."""

from headrace.plan.engines import EngineKeys
from serving.engines.engine import Capability, Delta, Final

BUNDLES = frozenset()


class Keys(EngineKeys):
    greeting: str


def host_of(model):
    return ""


async def open(keys, model, environ):
    return Host(keys)


class Host:
    def __init__(self, keys):
        self.keys = keys

    async def engine(self, model):
        return Echo(self.keys)

    async def close(self):
        pass


class Echo:
    capabilities = frozenset({Capability.TEXT})
    labels = ()

    def __init__(self, keys):
        self.keys = keys

    async def run(self, request):
        text = f"{self.keys.greeting} {request.messages[-1].content}"
        yield Delta(text)
        yield Final(text)

    async def close(self):
        pass
'''


@pytest.fixture
def company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A company's own package, as pip would install it."""
    folder, info = tmp_path / "company_engines", tmp_path / "company-1.0.dist-info"
    folder.mkdir()
    info.mkdir()
    (folder / "echo.py").write_text(ECHO)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: company\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[headrace.kinds]\nengines = company_engines\n")
    monkeypatch.syspath_prepend(tmp_path)
    kinds._modules.cache_clear()
    yield
    kinds._modules.cache_clear()


async def test_an_engine_is_one_file_and_one_table(company: None) -> None:
    """A company's own kind is found by its name, has its own keys, and answers behind the same admission."""
    text = plan_text() + '[engines.parrot]\nkind = "echo"\n'
    opener = Opener(plan.parse(text + 'greeting = "Hi,"\n'), {})
    engine = await opener.endpoint("parrot")
    assert (await final_of(engine, Request((Message("user", "you there"),)))).text == "Hi, you there"
    await engine.close()
    with pytest.raises(PlanError, match=r"line \d+: engines.parrot.greeting is missing"):
        plan.parse(text)


def test_a_plan_says_where_an_engine_does_not_take_what_a_method_makes(company: None) -> None:
    """Known before anything is trained; a candidate without an engine of its own has its task's."""
    echo = kinds.load("engines", "echo")
    echo.BUNDLES = frozenset({"adapter"})
    text = plan_text() + '[engines.parrot]\nkind = "echo"\ngreeting = "Hi,"\n'
    text = text.replace('method = "probe"', 'method = "probe"\nengine = "parrot"')
    with pytest.raises(PlanError, match=r"line \d+: .*'probe' makes a bundle of kind 'head', and engine"):
        plan.parse(text)


def test_a_kinds_keys_are_read_without_what_its_engines_need() -> None:
    """A machine with the base installation alone checks a plan with engines: no torch, no HTTP, no arrays."""
    code = "import sys; from headrace import kinds; [kinds.load('engines', name) for name in kinds.names('engines')]"
    code += "; print(sorted(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "'serving.engines.kinds.openai'" in out and "'serving.engines.kinds.in_process'" in out
    for name in ("torch", "transformers", "numpy", "aiohttp", "fastapi", "httpx"):
        assert f"'{name}'" not in out


async def test_two_versions_share_a_host_until_the_last_one_leaves(tmp_path: Path) -> None:
    """Heads of one base answer on one loaded base; another engine of the plan is another host."""
    opener = Opener(plan.parse(plan_text()), {})
    one, two = await asyncio.gather(
        opener.open("router", artifact(tmp_path, 1, "hr")), opener.open("router", artifact(tmp_path, 2, "it"))
    )
    assert opener.hosts.open == 1
    found = await asyncio.gather(*(classify(engine, "Where?", CHOICE) for engine in (one, two) * 8))
    assert [answer.label for answer in found] == ["hr", "it"] * 8
    await one.close()
    assert (await classify(two, "Where?", CHOICE)).label == "it"
    await two.close()
    assert opener.hosts.open == 0


async def test_a_version_that_cannot_be_opened_leaves_no_host(tmp_path: Path) -> None:
    """What was opened for it is closed; the version beside it is not disturbed."""
    opener = Opener(plan.parse(plan_text()), {})
    good, bad = artifact(tmp_path, 1), artifact(tmp_path, 2, parity_off=0.5)
    with pytest.raises(ArtifactError, match="off by"):
        await opener.open("router", bad)
    assert opener.hosts.open == 0
    engine = await opener.open("router", good)
    with pytest.raises(ArtifactError, match="off by"):
        await opener.open("router", bad)
    assert opener.hosts.open == 1 and (await classify(engine, "Where?", CHOICE)).label == "hr"
    await engine.close()


def test_only_a_bundle_that_keeps_its_base_shares_it(tmp_path: Path) -> None:
    """A head takes the loaded module; an adapter and a full model, which would change it, load their own."""
    from headrace.models.bundle import verify

    served = artifact(tmp_path, 1)
    manifest = verify(Path(served.artifact), served.digest)
    base = load_base(manifest)

    def opened(**changes: str) -> Scorer:
        found = open_bundle(Path(served.artifact), manifest.model_copy(update=changes), base=base)
        assert isinstance(found, Scorer)
        return found

    head = opened()
    assert head.encoder.module is base.module
    assert (head.log_probabilities(["Where?"]) == opened(kind="full").log_probabilities(["Where?"])).all()
    for kind in ("adapter", "full"):
        assert opened(kind=kind).encoder.module is not base.module


async def test_a_bundle_answers_on_the_engine_that_the_plan_names(tmp_path: Path) -> None:
    """The candidate's, or else the task's; its price is the engine's."""
    text = plan_text().replace('method = "probe"', 'method = "probe"\nengine = "dear"')
    text += '[engines.dear]\nkind = "in_process"\nusd_per_hour = 3600.0\n'
    opener = Opener(plan.parse(text), {})
    engine = await opener.open("router", artifact(tmp_path, 1))
    started = asyncio.get_running_loop().time()
    cost = (await classify(engine, "Where?", CHOICE)).cost
    assert 0 < cost <= asyncio.get_running_loop().time() - started + 0.01
    assert cost > 0.36 / 3600
    await engine.close()


async def test_a_full_engine_is_503_with_when_to_come_again(tmp_path: Path) -> None:
    """The gateway says so at once, and answers those that got in."""
    text = plan_text(rollout="").replace('method = "probe"', 'method = "probe"\nengine = "small"')
    text += '[engines.small]\nkind = "in_process"\ncapacity = 1\nqueue = 1\n'
    async with gateway(text, tmp_path) as stage:
        await stage.promote(1, artifact(tmp_path, 1))
        asked = [stage.client.post("/v1/route", json={"text": f"Where is {n}?"}) for n in range(20)]
        found = await asyncio.gather(*asked)
    assert {response.status_code for response in found} == {200, 503}
    refused = next(response for response in found if response.status_code == 503)
    assert "is full" in refused.json()["error"]["message"] and int(refused.headers["retry-after"]) >= 1


async def test_a_full_engine_says_nothing_about_a_candidate(tmp_path: Path) -> None:
    """A canary whose host is full of others' requests is not taken out of traffic for it."""
    text = plan_text(rollout="max_error_share = 0.01\ncanary_shares = [0.5]")
    text = text.replace('method = "probe"', 'method = "probe"\nengine = "small"')
    text += '[engines.small]\nkind = "in_process"\ncapacity = 1\nqueue = 0\n'
    async with gateway(text, tmp_path) as stage:
        await stage.promote(1, artifact(tmp_path, 1), canary=artifact(tmp_path, 2), canary_share=0.9)
        for _ in range(3):
            asked = [stage.client.post("/v1/route", json={"text": f"Where is {n}?"}) for n in range(30)]
            found = await asyncio.gather(*asked)
            assert 503 in {response.status_code for response in found}
        lane = stage.service.fleet.table["router"]
        assert lane.canary is not None and not lane.canary.tally.stopped and lane.canary.tally.failed == 0


async def test_an_engine_that_the_plan_has_not_is_named() -> None:
    """With what there is."""
    with pytest.raises(PlanError, match="the plan has no engine 'far'; it has none"):
        await Opener(plan.parse(plan_text()), {}).endpoint("far")
