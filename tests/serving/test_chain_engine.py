"""A chain over engines: who answers, what it costs, and what a failing tier leaves."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import pytest
from bundles import LABELS, artifact, chain_artifact
from stage import Upstream, gateway, plan_text

from headrace import plan
from headrace.contract.choice import Choice
from headrace.errors import ArtifactError
from headrace.models.chain import Chain
from serving.engines.chain import FAILED, TIER, ChainEngine
from serving.engines.classify import classify
from serving.engines.engine import (
    Answer,
    Capability,
    DeadlinePassed,
    Delta,
    Engine,
    EngineBusy,
    EngineFailed,
    Final,
    Message,
    Request,
    UnsupportedRequest,
    final_of,
)
from serving.engines.opening import Opener

CHOICE = Choice({label: label for label in LABELS}, {})
SURE = {"hr": 0.95, "it": 0.05, "finance": 0.0, "product": 0.0, "out_of_scope": 0.0}
UNSURE = {"hr": 0.3, "it": 0.4, "finance": 0.1, "product": 0.1, "out_of_scope": 0.1}
ASKED = Request((Message("user", "Where?"),), labels=LABELS)


class Tier(Engine):
    """Gives these scores, or this text; or fails, or waits for ever."""

    def __init__(
        self,
        scores: dict[str, float] | None = None,
        text: str = "",
        error: EngineFailed | None = None,
        waits: bool = False,
    ) -> None:
        self.scores, self.text, self.error, self.waits = scores, text, error, waits
        self.asked = self.closed = 0
        self.ended = False

    @property
    def labels(self) -> tuple[str, ...]:
        return LABELS if self.scores else ()

    @property
    def capabilities(self) -> frozenset[Capability]:
        return frozenset({Capability.LABEL_SCORES if self.scores else Capability.TEXT})

    async def run(self, request: Request) -> AsyncGenerator[Delta | Final]:
        self.asked += 1
        try:
            if self.waits:
                await asyncio.Event().wait()
            if self.error:
                raise self.error
            yield Final(text=self.text, scores=self.scores or {}, tokens_in=7, tokens_out=len(self.text), cost=0.5)
        finally:
            self.ended = True

    async def close(self) -> None:
        self.closed += 1


def chain(*tiers: Tier, on_failure: str = "cheaper") -> ChainEngine:
    """Each tier but the last answers from .9 on; the last one writes text."""
    *asking, last = tiers
    said = [{"name": f"t{n}", "folder": f"1-a0+t{n}", "threshold": 0.9} for n in range(len(asking))]
    said.append({"name": "incumbent", "accuracy": 0.8} if last.scores is None else {"name": "last", "folder": "1-a0+l"})
    incumbent = "router@0" if last.scores is None else ""
    fields = {"tiers": said, "incumbent": incumbent, "on_failure": on_failure}
    return ChainEngine(Chain.model_validate(fields), tiers, LABELS, CHOICE)


async def test_a_tier_that_is_sure_ends_the_request() -> None:
    """Its scores in the order asked for, its cost alone; the next tier hears nothing."""
    cheap, dear = Tier(SURE), Tier(UNSURE)
    found = await final_of(chain(cheap, dear), Request(ASKED.messages, labels=LABELS[::-1]))
    assert dict(found.scores) == SURE and tuple(found.scores) == LABELS[::-1]
    assert found.extra == {TIER: "t0"} and found.cost == 0.5 and dear.asked == 0


async def test_the_last_tier_answers_what_is_left() -> None:
    """Three tiers: cost and tokens are those of all that were run."""
    engine = chain(Tier(UNSURE), Tier(UNSURE), Tier(UNSURE | {"it": 0.41, "hr": 0.29}))
    found = await final_of(engine, ASKED)
    assert found.extra == {TIER: "last"} and found.scores["it"] == 0.41
    assert (found.cost, found.tokens_in) == (1.5, 21)


async def test_an_incumbent_that_writes_has_the_probability_it_was_evaluated_with() -> None:
    """The label that it names gets its accuracy, and an answer is classified as of any version."""
    answer: Answer = await classify(chain(Tier(UNSURE), Tier(text="Finance.")), "Where?", CHOICE)
    assert (answer.label, answer.extra, answer.recognised) == ("finance", {TIER: "incumbent"}, True)
    assert answer.scores["finance"] == 0.8 and sum(answer.scores.values()) == pytest.approx(1)
    assert answer.cost == 1.0 and answer.tokens_out == len("Finance.")


@pytest.mark.parametrize(
    "last",
    [Tier(error=EngineFailed("gone")), Tier(error=EngineBusy("full", 3.0)), Tier(text="I cannot say.")],
    ids=["fails", "busy", "no label"],
)
async def test_a_later_tier_that_gives_nothing_leaves_the_answer_before_it(last: Tier) -> None:
    """The event says which one answered and which should have; a plan may prefer a failure."""
    found = await final_of(chain(Tier(UNSURE), last), ASKED)
    assert dict(found.scores) == UNSURE and found.extra == {TIER: "t0", FAILED: "incumbent"}
    with pytest.raises(EngineFailed) as failed:
        await final_of(chain(Tier(UNSURE), last, on_failure="fail"), ASKED)
    assert isinstance(failed.value, EngineBusy) == isinstance(last.error, EngineBusy)


async def test_a_label_that_a_chain_does_not_score_leaves_the_answer_before_it() -> None:
    """An incumbent that is told labels of a later plan names one: no other label is made of it."""
    told = Choice({label: label for label in (*LABELS, "legal")}, {})
    tiers = [{"name": "t0", "folder": "1-a0+t0", "threshold": 0.9}, {"name": "incumbent", "accuracy": 0.8}]
    fields = {"tiers": tiers, "incumbent": "router@0"}
    engine = ChainEngine(Chain.model_validate(fields), (Tier(UNSURE), Tier(text="legal")), LABELS, told)
    found = await final_of(engine, ASKED)
    assert dict(found.scores) == UNSURE and found.extra == {TIER: "t0", FAILED: "incumbent"}


async def test_an_incumbent_is_told_the_chains_labels(upstream: Upstream, tmp_path: Path) -> None:
    """A label that the plan has since is none that the chain was proven with; one that it lost is not offered."""
    tier = await asyncio.to_thread(artifact, tmp_path / "models", 3, bias=0.0)
    served = await asyncio.to_thread(chain_artifact, tmp_path / "models", 6, [tier], 1.0, incumbent="router@0")
    later = ["legal", *(label for label in LABELS if label != "product")]
    async with gateway(plan_text(upstream.url).replace(json.dumps(LABELS), json.dumps(later)), tmp_path) as stage:
        await stage.promote(1, served)
        assert (await stage.route())["label"] == "it"
    said = upstream.requests[-1]["messages"][0]["content"]
    assert "legal" not in said and "product" not in said and "finance" in said


async def test_a_first_tier_that_fails_is_the_chains_failure() -> None:
    """There is no answer before it; to ask the dear tier everything is not what was promised."""
    dear = Tier(SURE)
    with pytest.raises(EngineBusy):
        await final_of(chain(Tier(UNSURE, error=EngineBusy("full", 3.0)), dear), ASKED)
    assert dear.asked == 0


async def test_a_deadline_and_a_cancelled_request_end_the_tier_that_runs() -> None:
    """A late answer of the cheap tier is nobody's."""
    with pytest.raises(DeadlinePassed):
        await final_of(chain(Tier(UNSURE), Tier(error=DeadlinePassed("late"))), ASKED)
    waiting = Tier(UNSURE, waits=True)
    task = asyncio.create_task(final_of(chain(Tier(UNSURE), waiting), ASKED))
    while not waiting.asked:  # noqa: ASYNC110 (the double has no event)
        await asyncio.sleep(0)
    task.cancel()
    assert isinstance((await asyncio.gather(task, return_exceptions=True))[0], asyncio.CancelledError)
    assert waiting.ended


async def test_it_scores_its_labels_and_nothing_else() -> None:
    """Text, tools and other labels are refused before a tier is asked."""
    cheap = Tier(SURE)
    engine = chain(cheap, Tier(UNSURE))
    for request in (Request(ASKED.messages), Request(ASKED.messages, labels=("yes", "no"))):
        with pytest.raises(UnsupportedRequest):
            await final_of(engine, request)
    with pytest.raises(EngineFailed, match="no user message"):
        await final_of(engine, Request((Message("system", "Route."),), labels=LABELS))
    assert not cheap.asked
    await engine.close()
    assert cheap.closed == 1


async def test_a_published_chain_is_opened_tier_by_tier(tmp_path: Path) -> None:
    """Two heads on one base share a host; a tier that is gone leaves nothing open."""
    opener = Opener(plan.parse(plan_text()), {})
    tiers = [await asyncio.to_thread(artifact, tmp_path, number, bias=bias) for number, bias in ((3, 0.0), (5, 20.0))]
    served = await asyncio.to_thread(chain_artifact, tmp_path, 6, tiers, 1.0)
    engine = await opener.open("router", served)
    assert opener.hosts.open == 1
    answer = await classify(engine, "Where do I send this invoice?", CHOICE, time.monotonic() + 60)
    assert (answer.label, answer.extra) == ("hr", {TIER: "tier-1"})
    async with aclosing(engine.run(ASKED)) as items:
        assert isinstance(await anext(items), Final)
    await engine.close()
    assert opener.hosts.open == 0
    (Path(tiers[1].artifact) / "head.safetensors").unlink()
    with pytest.raises(ArtifactError, match="lacks its file"):
        await opener.open("router", served)
    assert opener.hosts.open == 0


async def test_a_chain_to_another_incumbent_than_the_plans_is_refused(tmp_path: Path) -> None:
    """It was proven with another model; the tiers that were open already are closed."""
    opener = Opener(plan.parse(plan_text()), {})
    tier = await asyncio.to_thread(artifact, tmp_path, 3)
    served = await asyncio.to_thread(chain_artifact, tmp_path, 6, [tier], 0.9, incumbent="router@old")
    with pytest.raises(ArtifactError, match=r"router@old names no artifact and is not the plan's incumbent"):
        await opener.open("router", served)
    assert opener.hosts.open == 0
    served = await asyncio.to_thread(chain_artifact, tmp_path, 7, [tier], 0.9, incumbent="router@0")
    engine = await opener.open("router", served)
    assert opener.hosts.open == 2
    await engine.close()


async def test_an_event_says_which_tier_answered(upstream: Upstream, tmp_path: Path) -> None:
    """A promoted chain that ends with the incumbent: label, cost of both, tier; and its own answer where that fails."""
    tier = await asyncio.to_thread(artifact, tmp_path / "models", 3, bias=0.0)
    served = await asyncio.to_thread(chain_artifact, tmp_path / "models", 6, [tier], 1.0, incumbent="router@0")
    async with gateway(plan_text(upstream.url), tmp_path) as stage:
        await stage.promote(1, served)
        await stage.route()
        upstream.failures = [500] * 9
        await stage.route(consent=True)
        both, one = stage.recorded.inferences
    assert (both.version, both.label, both.extra) == ("router@6", "it", {TIER: "incumbent"})
    assert both.scores["it"] == 0.9 and both.tokens_in > 100 and both.cost > (100 + 2 * 2) / 1e6 > one.cost > 0
    assert one.extra == {TIER: "tier-0", FAILED: "incumbent", "consent": "explicit"}
