"""vLLM itself, on the CPU: what the trainer made is served as it was evaluated, killed, and served again.

Run by `make acceptance` where `make install-vllm` has been run. One server is started, and twice again; each start
takes minutes on a busy machine.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from bundles import LABELS
from test_vllm_engine import model_of, plan_of
from test_vllm_server import answered
from trained_adapters import trained

from headrace.contract.control import Served
from headrace.errors import ArtifactError
from headrace.models.families import load
from headrace.models.family import recorded
from serving.engines.engine import DeadlinePassed, Engine, EngineFailed, Message, Request, Sampling, final_of
from serving.engines.hosts import Hosts
from serving.engines.kinds import vllm
from serving.engines.opening import Opener
from serving.engines.vllm.model import TOLERANCE

PYTHON = Path(__file__).parents[2] / ".venv-vllm" / "bin" / "python"
KEYS = f"""
python = "{PYTHON}"
arguments = ["--enforce-eager", "--max-model-len=4096", "--max-num-seqs=16"]
max_loras = 3
max_lora_rank = 8
start_s = 1800.0
hang_s = 900.0
timeout_s = 300.0
"""
QUESTIONS = ("my laptop does not start", "how many days off do I have left", "<|im_end|> tax form", "VPN " * 700)
TEXT = Request((Message("user", "Count from one to ten."),), Sampling(max_tokens=8), stream=True)
MANY = tuple(f"topic_{number}" for number in range(200))

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.timeout(7200),
    pytest.mark.skipif(not PYTHON.exists(), reason="vLLM is not installed; make install-vllm installs it"),
]


@dataclass(frozen=True)
class Served3:
    """A running server with two adapters, and what else the tests ask."""

    opener: Opener
    first: Served
    second: Served
    many: Served
    engine: Engine
    host: vllm.VllmHost


def asked(question: str, labels: tuple[str, ...] = LABELS) -> Request:
    return Request((Message("user", question),), labels=labels)


@pytest.fixture(scope="module")
async def real(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served3]:
    """Two adapters of rank 8, trained on few rows, and the base with 200 labels."""
    root = tmp_path_factory.mktemp("store")

    def make() -> list[Served]:
        adapters = [trained(root, number, "lora", rows=15, rank=8, epochs=2) for number in (1, 2)]
        return [*adapters, trained(root, 3, "untuned", labels=MANY, rows=0, max_length=2048)]

    first, second, many = await asyncio.to_thread(make)
    environ = {"HEADRACE_HOME": str(root), "VLLM_CPU_KVCACHE_SPACE": "1", "PATH": "/usr/local/bin:/usr/bin:/bin"}
    opener = Opener(plan_of("", KEYS), environ)
    engine = await opener.open("router", first)
    host = host_of(opener.hosts)
    yield Served3(opener, first, second, many, engine, host)
    await engine.close()
    assert opener.hosts.open == 0


def host_of(hosts: Hosts) -> vllm.VllmHost:
    (held,) = hosts._held.values()
    assert isinstance(held.host, vllm.VllmHost)
    return held.host


async def off(engine: Engine, served: Served, texts: tuple[str, ...]) -> float:
    """The greatest difference of a log-probability to PEFT's in this process."""
    model = await asyncio.to_thread(load, served.artifact, served.digest)
    expected = await asyncio.to_thread(model.log_probabilities, texts)
    found = [(await final_of(engine, asked(text, model.labels))).scores for text in texts]
    return float(np.abs(np.log([[row[label] for label in model.labels] for row in found]) - expected).max())


async def test_labels_are_scored_as_by_peft(real: Served3, record_property: pytest.RecordProperty) -> None:
    """Within 1e-3 in fp32: an adapter, another one beside it, and 200 labels of the base in two requests."""
    second = await real.opener.open("router", real.second)
    many = await real.opener.open("router", real.many)
    assert real.opener.hosts.open == 1
    differences = {
        "first": await off(real.engine, real.first, QUESTIONS),
        "second": await off(second, real.second, QUESTIONS),
        "200 labels": await off(many, real.many, QUESTIONS[:2]),
    }
    print(f"greatest differences to PEFT's log-probabilities: {differences}")
    assert max(differences.values()) <= TOLERANCE["float32"]
    began = time.perf_counter()
    for number in range(10):
        await final_of(real.engine, asked(f"my laptop does not start, case {number}"))
    print(f"a request alone: {(time.perf_counter() - began) * 100:.0f} ms")
    for engine in (second, many):
        await engine.close()
    names = [model.name for model in await real.host.api.models() if model.parent]
    assert names == [vllm.name_of(model_of(real.first))], "a retired adapter is unloaded"


async def test_text_streams_and_ends_with_its_reader(real: Served3) -> None:
    """Deltas add up; a reader that leaves, and a deadline, end the work on vLLM."""
    items = [item async for item in real.engine.run(TEXT)]
    assert "".join(item.text for item in items[:-1]) == items[-1].text != ""
    assert len(items) > 3 and items[-1].tokens_out <= 8  # type: ignore[union-attr]
    long = replace(TEXT, sampling=Sampling(max_tokens=3000, temperature=1.0, seed=1))
    async with aclosing(real.engine.run(long)) as found:
        async for _ in found:
            break
    with pytest.raises(DeadlinePassed):
        await final_of(real.engine, replace(long, deadline=time.monotonic() + 1))
    async with asyncio.timeout(300):
        await final_of(real.engine, asked("VPN"))


async def test_wrong_adapters_are_refused(real: Served3, tmp_path: Path) -> None:
    """One that answers as its base, one swapped, one half-written: each in a sentence, and none stays loaded."""
    opener, keys = real.opener, real.opener.plan.engines["adapters"].keys()
    loaded = {model.name for model in await real.host.api.models()}

    def copied(name: str) -> Path:
        return Path(shutil.copytree(real.first.artifact, tmp_path / name))

    async def refused(folder: Path, match: str) -> None:
        model = replace(model_of(real.first), folder=folder)
        named = (folder / "manifest.json").read_bytes()
        (folder / "manifest.json").write_bytes(named + b" ")  # another digest, and so another name
        with pytest.raises(ArtifactError, match=match):
            await opener.hosts.engine("adapters", keys, model)

    half = copied("half") / "adapter_model.safetensors"
    half.write_bytes(half.read_bytes()[: half.stat().st_size // 2])
    await refused(half.parent, "vLLM does not take the adapter of router@1")
    swapped = copied("swapped")
    shutil.copyfile(Path(real.second.artifact) / half.name, swapped / half.name)
    await refused(swapped, r"router@1 is off by .* other weights under its name")
    config = copied("base") / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"lora_alpha": 0}))
    await refused(config.parent, "router@1 answers as its base does")
    assert {model.name for model in await real.host.api.models()} == loaded


async def test_killed_vllm_comes_back_with_its_adapters(real: Served3) -> None:
    """Twice, the second time its engine process alone: requests fail at once meanwhile, then answers are the same."""
    import psutil

    texts, expected = recorded(Path(real.first.artifact), len(LABELS))
    server = real.host.server
    assert server is not None
    for whose in ("server", "engine"):
        running = psutil.Process(server.pid)
        victims = [running] if whose == "server" else running.children(recursive=True)
        for victim in victims:
            with suppress(psutil.NoSuchProcess):
                victim.send_signal(signal.SIGKILL)
        with pytest.raises(EngineFailed):
            await final_of(real.engine, asked(texts[0]))
        async with asyncio.timeout(3000):
            scores = await answered(real.engine)
        found = (await final_of(real.engine, asked(texts[0]))).scores
        assert np.log(list(found.values())) == pytest.approx(expected[0], abs=TOLERANCE["float32"])
        assert scores and server.pid != running.pid
