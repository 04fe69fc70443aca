"""Engines in a row, cheapest first: each answers what it is sure of, the next is asked the rest.

A later tier that fails, is busy or names no label leaves the answer of the tier before it, unless the chain says
`fail`: then there is none, and the gateway does what it does for any version that failed. A deadline that passes ends
the request whatever was known until then, since its client has gone. The event says in `extra` which tier answered,
and which one failed.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence

from headrace.contract.choice import Choice
from headrace.models.chain import Chain, Tier
from serving.engines.classify import classify
from serving.engines.engine import (
    Answer,
    Capability,
    DeadlinePassed,
    Delta,
    Engine,
    EngineFailed,
    Final,
    Request,
    UnsupportedRequest,
    question_of,
)
from serving.engines.hosts import CLOSED, check

TIER, FAILED = "tier", "tier_failed"
"""Names in `extra` of an event: the tier that answered, and one that should have and did not."""


class ChainEngine(Engine):
    """A published chain over the opened engines of its tiers, which it closes with itself.

    choice: how a tier that writes text is asked for a label
    """

    def __init__(self, chain: Chain, engines: Sequence[Engine], labels: tuple[str, ...], choice: Choice) -> None:
        self._chain = chain
        self._engines = engines
        self._labels = labels
        self._choice = choice
        self._closed = False

    @property
    def capabilities(self) -> frozenset[Capability]:
        return frozenset({Capability.LABEL_SCORES})

    @property
    def labels(self) -> tuple[str, ...]:
        return self._labels

    async def run(self, request: Request) -> AsyncGenerator[Delta | Final]:
        """See Engine.run. Its cost and tokens are those of all tiers that were run."""
        check(self, request)
        started, text = time.perf_counter(), question_of(request.messages)
        answers: list[Answer] = []
        scores: dict[str, float] = {}
        said = {}
        for tier, engine in zip(self._chain.tiers, self._engines, strict=True):
            try:
                answer = await classify(engine, text, self._choice, request.deadline, request.caller)
                if not answer.recognised or answer.label not in self._labels:
                    raise EngineFailed(f"tier {tier.name} named no label")
            except (DeadlinePassed, UnsupportedRequest):
                raise
            except EngineFailed:
                if self._closed:
                    raise EngineFailed(CLOSED) from None
                if not answers or self._chain.on_failure == "fail":
                    raise
                said[FAILED] = tier.name
                break
            answers.append(answer)
            scores, said = self._scores(tier, answer), {TIER: tier.name}
            if tier.threshold is None or max(scores.values()) >= tier.threshold:
                break
        yield Final(
            scores={label: scores.get(label, 0.0) for label in request.labels},
            tokens_in=sum(answer.tokens_in for answer in answers),
            tokens_out=sum(answer.tokens_out for answer in answers),
            first_token_ms=(time.perf_counter() - started) * 1000,
            cost=sum(answer.cost for answer in answers),
            extra=said,
        )

    async def close(self) -> None:
        """See Engine.close."""
        self._closed = True
        for engine in self._engines:
            await engine.close()

    def _scores(self, tier: Tier, answer: Answer) -> dict[str, float]:
        """The tier's own; of one that only names a label what an evaluation gave it (families/chain.py)."""
        if answer.scores:
            return dict(answer.scores)
        others = (1 - tier.accuracy) / max(1, len(self._labels) - 1)
        return {label: tier.accuracy if label == answer.label else others for label in self._labels}
