from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stage import LABELS, Upstream, artifact, plan_text, until

from headrace import plan
from headrace.contract.choice import Choice
from headrace.contract.control import Served
from headrace.errors import ArtifactError, PlanError
from headrace.plan import Plan
from serving.engines.batches import MAX_BATCH
from serving.engines.classify import classify
from serving.engines.engine import Answer, Delta, Engine, EngineFailed, Message, Request, final_of
from serving.engines.kinds.in_process import BundleEngine
from serving.engines.opening import Opener

CHOICE = Choice({label: label for label in LABELS}, {"hr": "people and pay"})


class SlowScorer:
    """A scorer whose batches wait until they are let go, to see what was put together."""

    labels = LABELS
    writes_text = False

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.go = threading.Semaphore(0)
        self.value = 0.2

    def tokens(self, texts: list[str]) -> list[int]:
        return [len(text) for text in texts]

    def score(self, texts: list[str]) -> np.ndarray:
        self.batches.append(texts)
        assert self.go.acquire(timeout=30)
        scores = np.full((len(texts), len(LABELS)), self.value, np.float32)
        scores[:, [LABELS.index(text.split("-")[0]) for text in texts]] += 0.1
        return scores


async def test_questions_that_arrive_together_are_one_batch() -> None:
    """What comes while the worker is busy is answered together, in batches of at most MAX_BATCH."""
    scorer = SlowScorer()
    engine = BundleEngine(scorer)
    first = asyncio.create_task(asked(engine, "hr-0"))
    await until_batches(scorer, 1)
    rest = [asyncio.create_task(asked(engine, f"it-{number}")) for number in range(MAX_BATCH + 5)]
    for _ in range(3):
        scorer.go.release()
    answers = await asyncio.gather(first, *rest)
    assert [len(batch) for batch in scorer.batches] == [1, MAX_BATCH, 5]
    assert answers[0].label == "hr" and answers[1].label == "it"
    assert answers[1].tokens_in == len("it-0")
    await engine.close()


async def test_a_question_that_nobody_waits_for_is_not_scored() -> None:
    """Whoever goes away before the batch starts costs nothing."""
    scorer = SlowScorer()
    engine = BundleEngine(scorer)
    first = asyncio.create_task(asked(engine, "hr-0"))
    await until_batches(scorer, 1)
    gone, stays = asyncio.create_task(asked(engine, "it-1")), asyncio.create_task(asked(engine, "it-2"))
    await asyncio.sleep(0)
    gone.cancel()
    scorer.go.release(2)
    assert (await first).label == "hr" and (await stays).label == "it"
    assert scorer.batches == [["hr-0"], ["it-2"]]
    await engine.close()


class EndlessWriter(SlowScorer):
    """A model whose text has no end. ended: nobody writes it any more"""

    writes_text = True

    def __init__(self) -> None:
        super().__init__()
        self.ended = threading.Event()

    def stream(self, messages: Sequence[tuple[str, str]], sampling: Any, stopped: Callable[[], bool]) -> Iterator[str]:
        try:
            while True:
                yield "and "
                time.sleep(0.001)
        finally:
            self.ended.set()


async def test_a_text_that_nobody_reads_is_not_written_on() -> None:
    """Closing the iterator in the middle ends the writing thread's work; so does closing the engine."""
    writer = EndlessWriter()
    engine = BundleEngine(writer)
    request = Request((Message("user", "Go on."),), stream=True)
    async with aclosing(engine.run(request)) as items:
        assert await anext(items) == Delta("and ")
    await until(writer.ended.is_set)
    async with aclosing(engine.run(request)) as items:
        assert await anext(items) == Delta("and ")
        async with asyncio.timeout(10):
            await engine.close()  # which waits for the thread


async def test_a_failing_model_fails_its_batch_and_no_other() -> None:
    """Scores that are no probabilities are a failure of these questions; the next ones are answered."""
    scorer = SlowScorer()
    engine = BundleEngine(scorer)
    scorer.value = float("nan")
    scorer.go.release(2)
    with pytest.raises(EngineFailed, match="not probabilities"):
        await asked(engine, "hr-0")
    scorer.value = 0.2
    assert (await asked(engine, "finance-0")).label == "finance"
    await engine.close()


class Panic(BaseException):
    """Like a panic of a tokenizer's Rust code: no Exception."""


class FailingWriter(SlowScorer):
    """A model that raises what it is told to, and counts the tokens of too few texts where that is nothing."""

    writes_text = True
    error: BaseException | None = None

    def tokens(self, texts: list[str]) -> list[int]:
        if self.error:
            raise self.error
        return [1] * (len(texts) - 1)

    def stream(self, messages: Sequence[tuple[str, str]], sampling: Any, stopped: Callable[[], bool]) -> Iterator[str]:
        raise self.error or ValueError


@pytest.mark.parametrize("error", [Panic("it broke"), StopIteration("it broke"), None])
async def test_whatever_a_model_raises_fails_the_request(error: BaseException | None) -> None:
    """Also what is no Exception, and too few token counts: each question and each text fails, and none waits on."""
    model = FailingWriter()
    model.error = error
    model.go.release(2)
    engine = BundleEngine(model)
    async with asyncio.timeout(10):
        for _ in range(2):
            with pytest.raises(EngineFailed, match=r"it broke|tokens of 0 texts"):
                await asked(engine, "hr-0")
        with pytest.raises(EngineFailed, match="the model failed"):
            await final_of(engine, Request((Message("user", "Go on."),)))
        await engine.close()


async def test_an_artifact_answers_with_probabilities_and_a_price(tmp_path: Path) -> None:
    """A published artifact answers with scores that add up to one and the price of the seconds it took."""
    opener = Opener(plan.parse(plan_text()), {})
    engine = await opener.open("router", artifact(tmp_path, 3, "finance"))
    answers = await asyncio.gather(*(asked(engine, f"Where is invoice {number}?") for number in range(40)))
    await engine.close()
    assert {answer.label for answer in answers} == {"finance"}
    assert all(abs(sum(answer.scores.values()) - 1) < 1e-5 for answer in answers)
    assert all(0 < answer.cost < 0.36 / 3600 for answer in answers)
    assert answers[0].tokens_in == 9


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (lambda served, root: (Path(served.artifact) / "head.safetensors").write_bytes(b"x"), "sha256 differs"),
        (lambda served, root: (Path(served.artifact) / "extra.pkl").write_bytes(b"x"), "no pickle"),
        (lambda served, root: (Path(served.artifact) / "manifest.json").unlink(), "half-written"),
    ],
)
async def test_a_broken_artifact_is_one_sentence(tmp_path: Path, break_it: object, says: str) -> None:
    """A changed, foreign or missing file is refused before anything of it is loaded."""
    served = artifact(tmp_path, 4)
    break_it(served, tmp_path)  # type: ignore[operator]
    with pytest.raises(ArtifactError, match=says):
        await opener_of().open("router", served)


async def test_an_artifact_that_answers_otherwise_than_evaluated_is_refused(tmp_path: Path) -> None:
    """Parity: log-probabilities that differ from the recorded ones keep a version out of service."""
    with pytest.raises(ArtifactError, match=r"off by 0\.5"):
        await opener_of().open("router", artifact(tmp_path, 5, parity_off=0.5))


async def test_an_artifact_serves_under_its_own_name_only(tmp_path: Path) -> None:
    """A promotion that gives an artifact another version's name is refused, and so is a version without artifact."""
    served = artifact(tmp_path, 6)
    with pytest.raises(ArtifactError, match="is router@6 of task router, not router@7"):
        await opener_of().open("router", served.model_copy(update={"version": "router@7"}))
    with pytest.raises(ArtifactError, match="router@8 names no artifact"):
        await opener_of().open("router", Served(version="router@8"))


@pytest.mark.parametrize("value", ["s3cret", "s3cret\n"])
async def test_an_upstream_that_needs_a_key_says_which(upstream: Upstream, value: str) -> None:
    """A missing API key names its environment variable; a present one is sent as a bearer token, a line's content."""
    text = plan_text(upstream.url).replace('model = "big"', 'model = "big"\nkey_env = "BIG_KEY"')
    with pytest.raises(PlanError, match="BIG_KEY"):
        await Opener(plan.parse(text), {}).open("router", Served(version="router@0"))
    engine = await Opener(plan.parse(text), {"BIG_KEY": value}).open("router", Served(version="router@0"))
    await asked(engine, "hello")
    await engine.close()
    assert upstream.headers[0]["authorization"] == "Bearer s3cret"


async def test_an_upstream_is_asked_for_a_label_and_paid_by_token(upstream: Upstream) -> None:
    """The last user message is the question verbatim, the system message lists the labels, usage is the price."""
    engine = await model_of(upstream)
    answer = await asked(engine, "  My VPN\nis down ")
    await engine.close()
    system, user = upstream.requests[0]["messages"]
    assert user == {"role": "user", "content": "  My VPN\nis down "}
    assert system["role"] == "system" and all(label in system["content"] for label in LABELS)
    assert "people and pay" in system["content"]
    assert (answer.label, answer.tokens_in, answer.tokens_out) == ("it", 100, 2)
    assert answer.cost == pytest.approx((100 * 1.0 + 2 * 2.0) / 1e6)


@pytest.mark.parametrize(
    ("said", "label", "recognised"),
    [
        ("it", "it", True),
        ('"IT."\n', "it", True),
        ("Out of scope", "out_of_scope", True),
        ("legal", "", False),
        ("", "", False),
    ],
)
async def test_what_an_upstream_says_becomes_a_label(
    upstream: Upstream, said: str, label: str, recognised: bool
) -> None:
    """Dressing is taken off a label; anything else is out of scope, and known as such."""
    upstream.label = said
    engine = await model_of(upstream)
    answer = await asked(engine, "a question")
    await engine.close()
    assert (answer.label, answer.recognised, answer.output) == (label, recognised, said)


async def test_a_passing_failure_is_tried_once_more(upstream: Upstream) -> None:
    """One 503 is not seen; two are a failure; a 400 is not asked again."""
    engine = await model_of(upstream)
    upstream.failures = [503]
    assert (await asked(engine, "a question")).label == "it"
    upstream.failures = [503, 503]
    with pytest.raises(EngineFailed, match="answered 503"):
        await asked(engine, "a question")
    upstream.failures = [400]
    before = len(upstream.requests)
    with pytest.raises(EngineFailed, match="answered 400"):
        await asked(engine, "a question")
    assert len(upstream.requests) == before + 1
    await engine.close()


async def test_an_upstream_that_hangs_times_out(upstream: Upstream) -> None:
    """The plan's timeout bounds each try."""
    upstream.delay_s = 1
    engine = await model_of(upstream, timeout_s=0.1)
    with pytest.raises(EngineFailed, match="timed out"):
        await asked(engine, "a question")
    await engine.close()


def opener_of() -> Opener:
    return Opener(plan.parse(plan_text()), {})


async def asked(engine: Engine, text: str) -> Answer:
    return await classify(engine, text, CHOICE)


async def model_of(upstream: Upstream, timeout_s: float = 5.0) -> Engine:
    parsed: Plan = plan.parse(plan_text(upstream.url, timeout_s=timeout_s))
    return await Opener(parsed, {}).open("router", Served(version="router@0"))


async def until_batches(scorer: SlowScorer, count: int) -> None:
    await until(lambda: len(scorer.batches) == count)
