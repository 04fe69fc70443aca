"""Encoders on ONNX Runtime: the same answers as torch's, without torch; quantised ones answer as they were judged."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bundles import LABELS, artifact
from stage import plan_text

from headrace import plan
from headrace.contract.choice import Choice
from headrace.contract.control import Served
from headrace.errors import ArtifactError
from headrace.models.bundle import GRAPH, verify
from headrace.models.families import Model, open_as_served, open_bundle
from serving.engines.classify import classify
from serving.engines.opening import Opener

CHOICE = Choice({label: label for label in LABELS}, {})
TEXTS = ("hi", "VPN", "Where do I send this invoice?", "My laptop does not start, and I tried it twice. " * 9)
MAX_MIB = 250
ALONE = """
import asyncio, json, sys
from pathlib import Path

sys.path[:0] = json.loads(sys.argv[3])
from stage import gateway, plan_text

from headrace import plan
from headrace.contract.control import Served
from serving.engines.opening import warm


async def main():
    served = Served.model_validate_json(sys.argv[2])
    warm(plan.parse(plan_text()))
    async with gateway(plan_text(), Path(sys.argv[1])) as stage:
        await stage.promote(1, served)
        answer = (await stage.client.post("/v1/route", json={"text": "Where?"})).json()
    memory = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    there = [name for name in ("torch", "transformers", "peft", "onnx") if name in sys.modules]
    print(json.dumps([answer["label"], answer["version"], there, int(memory.split()[1]) // 1024]))


asyncio.run(main())
"""


def test_a_gateway_answers_without_torch(tmp_path: Path) -> None:
    """Neither its start nor a version imports it; the whole process stays below 250 MiB."""
    served, paths = artifact(tmp_path, 7, "finance"), [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
    arguments = [str(tmp_path), served.model_dump_json(), json.dumps(paths)]
    run = subprocess.run([sys.executable, "-c", ALONE, *arguments], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    label, version, there, mib = json.loads(run.stdout.splitlines()[-1])
    assert (label, version, there) == ("finance", "router@7", [])
    assert mib < MAX_MIB


def opened(served: Served, torch: bool = False) -> Model:
    folder = Path(served.artifact)
    return (open_bundle if torch else open_as_served)(folder, verify(folder, served.digest))


def test_what_one_asks_does_not_change_what_another_is_answered(tmp_path: Path) -> None:
    """A quantised encoder answers as it does alone, whoever asks in the same batch; one of fp32 answers as torch."""
    quantised = opened(artifact(tmp_path, 1, int8=True, bias=0.5))
    together = quantised.log_probabilities(TEXTS)
    alone = np.concatenate([quantised.log_probabilities([text]) for text in TEXTS])
    assert np.abs(together - alone).max() < 1e-5
    plain = artifact(tmp_path, 2, bias=0.5)
    ours, theirs = (opened(plain, torch).log_probabilities(TEXTS) for torch in (False, True))
    assert np.abs(ours - theirs).max() < 1e-4


async def test_the_plan_may_have_torch_answer(tmp_path: Path) -> None:
    """An engine of kind in_process does; a quantised version, which has no other answers, is refused there by name."""
    text = plan_text().replace('method = "probe"', 'method = "probe"\nengine = "torch"')
    opener = Opener(plan.parse(text + '[engines.torch]\nkind = "in_process"\n'), {})
    engine = await opener.open("router", artifact(tmp_path, 1, "it"))
    assert (await classify(engine, "Where?", CHOICE)).label == "it"
    await engine.close()
    with pytest.raises(ArtifactError, match="kind 'int8', and engine torch takes"):
        await opener.open("router", artifact(tmp_path, 2, int8=True))


async def test_a_graph_that_answers_otherwise_is_refused(tmp_path: Path) -> None:
    """Parity is checked on the engine that answers; what was opened for it is closed."""
    opener = Opener(plan.parse(plan_text()), {})
    with pytest.raises(ArtifactError, match="off by"):
        await opener.open("router", artifact(tmp_path, 1, parity_off=0.5, int8=True))
    damaged = artifact(tmp_path, 2)
    (Path(damaged.artifact) / GRAPH).write_bytes(b"not a graph")
    with pytest.raises(ArtifactError, match="sha256 differs"):
        await opener.open("router", damaged)
    assert opener.hosts.open == 0


async def test_heads_share_a_graph_and_quantised_ones_do_not(tmp_path: Path) -> None:
    """The host is closed after the last of them."""
    opener = Opener(plan.parse(plan_text()), {})
    bundles = artifact(tmp_path, 1, "hr"), artifact(tmp_path, 2, "it"), artifact(tmp_path, 3, "finance", int8=True)
    one, two, three = await asyncio.gather(*(opener.open("router", served) for served in bundles))
    assert opener.hosts.open == 2
    found = await asyncio.gather(*(classify(engine, "Where?", CHOICE) for engine in (one, two, three) * 4))
    assert [answer.label for answer in found] == ["hr", "it", "finance"] * 4
    for engine in (one, two, three):
        await engine.close()
    assert opener.hosts.open == 0
