"""The vLLM engine on a server that runs already: adapters, the check before they serve, labels, what is refused.

The server is tests/vllm_double.py; vLLM itself is asked in test_vllm_real.py.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bundles import LABELS
from vllm_bundles import DEFAULT, bundle
from vllm_double import BASE, Double, double, log_probabilities, weights_of

from headrace import plan
from headrace.contract.control import Served
from headrace.errors import ArtifactError, PlanError
from headrace.models.bundle import verify
from headrace.plan import Plan
from serving.engines.engine import Engine, EngineFailed, Message, Request, Sampling, final_of
from serving.engines.hosts import HostedModel
from serving.engines.kinds import vllm
from serving.engines.opening import Opener
from serving.engines.vllm.adapters import RETRY_S
from serving.engines.vllm.options import PART, joined, parts

ASKED = Request((Message("user", "How do I reset my password?"),), labels=LABELS)
TEXT = Request((Message("user", "Tell me more."),), Sampling(max_tokens=5), stream=True)
MANY = tuple(f"topic_{number}" for number in range(300))


def plan_of(url: str, keys: str = "", method: str = "lora", incumbent: str = "http://127.0.0.1:1/v1") -> Plan:
    """A plan whose one candidate answers on the server at `url`."""
    return plan.parse(f"""
version = 2
[engines.adapters]
kind = "vllm"
{f'url = "{url}"' if url else ""}
{keys}
[tasks.router]
labels = ["hr", "it", "finance", "product", "out_of_scope"]
[tasks.router.incumbent]
url = "{incumbent}"
model = "big"
[tasks.router.candidates.adapted]
base = "{DEFAULT}"
method = "{method}"
engine = "adapters"
""")


@pytest.fixture
def server() -> Iterator[Double]:
    with double() as running:
        yield running


@pytest.fixture
def opener(server: Double) -> Opener:
    return Opener(plan_of(server.url), {})


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def first(root: Path) -> Served:
    return bundle(root, 1)


@pytest.fixture(scope="module")
def second(root: Path) -> Served:
    return bundle(root, 2)


def model_of(served: Served) -> HostedModel:
    return HostedModel(served.version, Path(served.artifact), verify(Path(served.artifact), served.digest))


async def refused(opener: Opener, served: Served, match: str) -> None:
    """It does not open, says why, and leaves nothing open."""
    with pytest.raises((ArtifactError, PlanError), match=match):
        await opener.open("router", served)
    assert opener.hosts.open == 0


async def test_an_adapter_has_its_name_from_its_first_version_to_its_last(
    server: Double, opener: Opener, first: Served, second: Served
) -> None:
    """Loaded once under version and digest, unloaded when the last engine of it closes; another one stays."""
    name = vllm.name_of(model_of(first))
    assert re.fullmatch(rf"router@1-{first.digest[:12]}", name)
    one, same, other = [await opener.open("router", each) for each in (first, first, second)]
    assert server.adapters[name] == first.artifact and len(server.loads) == 2 and opener.hosts.open == 1
    await one.close()
    assert name in server.adapters
    await same.close()
    assert list(server.adapters) == [vllm.name_of(model_of(second))]
    scores = (await final_of(other, ASKED)).scores
    assert sum(scores.values()) == pytest.approx(1, abs=1e-5)
    await other.close()
    assert not server.adapters and opener.hosts.open == 0


async def test_two_adapters_answer_differently(opener: Opener, first: Served, second: Served) -> None:
    """Each with its own weights, also at the same time."""
    engines = [await opener.open("router", each) for each in (first, second)]
    alone = [(await final_of(engine, ASKED)).scores for engine in engines]
    together = await asyncio.gather(*(final_of(engine, ASKED) for engine in engines))
    assert alone[0] != alone[1] and [each.scores for each in together] == alone
    for engine in engines:
        await engine.close()


@pytest.mark.parametrize("asked", [ASKED, TEXT], ids=["labels", "text"])
async def test_an_adapter_that_a_restart_lost_is_loaded_again(
    server: Double, opener: Opener, first: Served, asked: Request
) -> None:
    """The request that finds out is answered, as before; so are many at once, with one load."""
    engine = await opener.open("router", first)
    before = await final_of(engine, asked)
    server.restart()
    found = await asyncio.gather(*(final_of(engine, asked) for _ in range(8)))
    assert all((each.text, each.scores) == (before.text, before.scores) for each in found)
    assert len(server.loads) == 2
    await engine.close()


async def test_an_adapter_that_answers_as_its_base_is_refused(server: Double, opener: Opener, first: Served) -> None:
    """vLLM says that it is loaded, and does not apply it."""
    server.ignores = True
    await refused(opener, first, r"router@1 answers as its base does: vLLM took the adapter .* does not apply it")
    assert not server.adapters, "a refused adapter is unloaded"


async def test_an_adapter_lost_and_then_ignored_answers_nobody(
    server: Double, opener: Opener, first: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is loaded again is checked again: an error and never the base's answer, until it answers as it should."""
    engine = await opener.open("router", first)
    server.ignores = True
    server.restart()
    for _ in range(2):
        with pytest.raises(EngineFailed, match="answers as its base does"):
            await final_of(engine, ASKED)
    assert not server.adapters and len(server.loads) == 2, "it is not tried with each request"
    server.ignores = False
    monkeypatch.setattr(time, "monotonic", lambda now=time.monotonic: now() + RETRY_S)
    assert (await final_of(engine, ASKED)).scores
    await engine.close()


async def test_a_swapped_adapter_is_refused(server: Double, opener: Opener, first: Served, second: Served) -> None:
    """Another adapter's weights under its name are noticed by their answers; then the right ones are loaded."""
    name = vllm.name_of(model_of(first))
    server.adapters[name], server.weights[name] = first.artifact, weights_of(Path(second.artifact))
    await refused(opener, first, r"router@1 is off by [\d.]+ .*at most 0.001.*other weights under its name")
    assert not server.adapters
    engine = await opener.open("router", first)
    await engine.close()
    server.adapters[name], server.weights[name] = second.artifact, weights_of(Path(second.artifact))
    await refused(opener, first, f"has {name} from {second.artifact} and not from {first.artifact}")
    assert name in server.adapters, "what another has loaded there is left alone"


@pytest.mark.parametrize(("off", "taken"), [(0.0008, True), (0.0013, False), (float("nan"), False)])
async def test_parity_is_a_thousandth(opener: Opener, off: float, taken: bool, tmp_path: Path) -> None:
    """In fp32 log-probabilities may be off by 1e-3 and no more; what is no number is never taken."""
    served = bundle(tmp_path, 3, off=off)
    if taken:
        await (await opener.open("router", served)).close()
    else:
        await refused(opener, served, r"router@3 is off by")


async def test_a_half_written_adapter_is_refused(server: Double, opener: Opener, tmp_path: Path) -> None:
    """By its digests before vLLM is asked; and by vLLM, which may see other files under the same path."""
    served = bundle(tmp_path, 4)
    model = model_of(served)
    file = Path(served.artifact) / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-3])
    await refused(opener, served, "adapter_model.safetensors is not the file that was published")
    keys = opener.plan.engines["adapters"].keys()
    with pytest.raises(ArtifactError, match=r"vLLM does not take the adapter of router@4.*IncompleteBuffer"):
        await opener.hosts.engine("adapters", keys, model)
    assert not server.adapters and opener.hosts.open == 0


async def test_a_folder_that_the_server_does_not_see_is_refused(opener: Opener, first: Served, tmp_path: Path) -> None:
    """A server in a container needs the store under the same path, which the sentence says."""
    model = replace(model_of(first), folder=Path(first.artifact))
    host = await vllm.open(opener.plan.engines["adapters"].keys(), model, {})
    assert isinstance(host, vllm.VllmHost)
    with pytest.raises(ArtifactError, match="see /nowhere under this path"):
        await host.adapters._load("router@1-x", Path("/nowhere"))
    await host.close()


async def test_the_plan_bounds_adapters_and_their_rank(
    server: Double, first: Served, second: Served, tmp_path: Path
) -> None:
    """Beyond max_loras and max_lora_rank a version is refused; what nobody here answers on makes room first."""
    opener = Opener(plan_of(server.url, "max_loras = 1\nmax_lora_rank = 8"), {})
    server.adapters["router@0-left"], server.weights["router@0-left"] = "/gone", "gone"
    engine = await opener.open("router", first)
    assert list(server.adapters) == [vllm.name_of(model_of(first))]
    with pytest.raises(ArtifactError, match=r"has router@1-\w+, as many adapters as the engine's max_loras \(1\)"):
        await opener.open("router", second)
    await final_of(engine, ASKED)
    await engine.close()
    await refused(opener, bundle(tmp_path, 5, rank=9), r"has rank 9, and the engine's max_lora_rank is 8")
    await refused(opener, bundle(tmp_path, 6, rank_pattern={"v_proj": 12}), "has rank 12")


@pytest.mark.parametrize(
    ("config", "said"),
    [({"use_dora": True}, "has DoRA"), ({"modules_to_save": ["lm_head"]}, r"modules beside it \(lm_head\)")],
)
async def test_what_vllm_would_leave_out_is_refused(
    opener: Opener, config: dict[str, object], said: str, tmp_path: Path
) -> None:
    """An adapter that holds more than low-rank matrices, with what serves it."""
    await refused(opener, bundle(tmp_path, 7, **config), f"{said}.*in_process")


async def test_more_labels_than_an_answer_holds(server: Double, opener: Opener, tmp_path: Path) -> None:
    """Three hundred labels take three requests of at most 128 codes, and have the probabilities of one."""
    served = bundle(tmp_path, 8, "prompt", labels=MANY)
    engine = await opener.open("router", served)
    server.asked.clear()
    scores = (await final_of(engine, replace(ASKED, labels=MANY))).scores
    # They are asked at once, and arrive in any order.
    assert sorted(len(each["allowed_token_ids"]) for each in server.asked) == [46, 128, 128]
    tokens = list(dict.fromkeys(token for each in server.asked for token in each["allowed_token_ids"]))
    expected = np.exp(log_probabilities(BASE, server.asked[0]["prompt"], tokens))
    assert sorted(scores.values()) == pytest.approx(sorted(expected), abs=1e-6)
    await engine.close()


@pytest.mark.parametrize("labels", [2, PART, PART + 1, 2 * PART - 1, 2 * PART, 1000])
def test_parts_join_to_the_same_logits(labels: int) -> None:
    """Whatever the number: differences to the first label's logit, though each part is normalised by itself."""
    logits = np.random.default_rng(labels).normal(size=labels) * 10
    tokens = list(range(7, 7 + labels))

    def answer(part: list[int]) -> dict[int, float]:
        own = logits[[token - 7 for token in part]]
        return dict(zip(part, own - np.log(np.exp(own).sum()), strict=True))

    split = parts(tokens)
    assert max(map(len, split)) <= PART
    assert joined(tokens, [answer(part) for part in split]) == pytest.approx(logits - logits[0], abs=1e-9)


async def test_a_server_without_processed_log_probabilities_is_named(
    server: Double, opener: Opener, first: Served
) -> None:
    """The sentence has the options that vLLM must be started with."""
    server.raw = True
    await refused(opener, first, "--max-logprobs 128 --logprobs-mode processed_logprobs")


def a_p_tuned(root: Path) -> Served:
    return bundle(root, 9, "soft_prompt")


def an_encoder(root: Path) -> Served:
    return bundle(root, 10, family="encoder")


@pytest.mark.parametrize("make", [a_p_tuned, an_encoder])
async def test_what_vllm_does_not_serve_names_what_does(
    make: Callable[[Path], Served], opener: Opener, tmp_path: Path
) -> None:
    """P-tuned versions and encoders are served in process."""
    await refused(opener, make(tmp_path), "an engine of kind in_process")


def test_a_plan_with_p_tuning_on_vllm_is_refused(server: Double) -> None:
    """Before anything is trained."""
    with pytest.raises(PlanError, match="P-tuned versions are served by an engine of kind in_process"):
        plan_of(server.url, method="p_tuning")


async def test_text_streams_and_stays_in_bounds(server: Double, opener: Opener, first: Served) -> None:
    """The chat template's ids go in, with the end of a turn as a stop; no more tokens than the server reads."""
    server.length = 300
    engine = await opener.open("router", first)
    final = await final_of(engine, TEXT)
    assert final.finish_reason == "length" and final.tokens_out == 5 and final.text.count(" ") == 5
    await final_of(engine, replace(TEXT, sampling=Sampling(max_tokens=100_000)))
    asked = server.asked[-1]
    assert len(asked["prompt"]) + asked["max_tokens"] == 300
    assert asked["stop_token_ids"][0] in asked["prompt"], "the turns of the prompt end with it"
    await engine.close()


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ('key_env = "VLLM_KEY"', "set the environment variable VLLM_KEY"),
        ("", "vLLM cannot be reached: .*did not answer"),
    ],
)
async def test_a_server_that_cannot_be_asked_is_told(keys: str, said: str, first: Served) -> None:
    """A missing key and a dead address."""
    await refused(Opener(plan_of("http://127.0.0.1:1/v1", keys), {}), first, said)


async def test_an_engine_answers_after_its_server_came_back(server: Double, opener: Opener, first: Served) -> None:
    """While it is away a request fails at once, in a sentence."""
    engine: Engine = await opener.open("router", first)
    server.away = True
    for asked in (ASKED, TEXT):
        with pytest.raises(EngineFailed, match="did not answer"):
            await final_of(engine, asked)
    server.away = False
    assert (await final_of(engine, ASKED)).scores
    await engine.close()
