"""Other candidates as tiers, cheapest first: each answers where it is sure enough, and the next is asked the rest.

It trains no weights. The tiers are calibrated on the validation rows, and thresholds are fitted there so that the
chain's accuracy holds (trainer.tune.thresholds); where none are proven, the candidate fails with that reason.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import cycle, islice
from math import isinf
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from headrace.errors import HeadraceError
from headrace.models.chain import Chain, ChainPoint, OnFailure, Tier
from headrace.plan.section import OpenShare, Section, Share, Word
from trainer.tune.method import Given, HeldOut, Other, Unproven

if TYPE_CHECKING:
    from trainer.tune.thresholds import Asked, Fit

NEEDS = frozenset({"chain"})
EFFORT = 1_000
MAKES = "chain"
TIERS = "tiers"
INCUMBENT = "incumbent"
TIMED, WARM_UP = 20, 3
"""Questions that each tier is asked one by one, to see what it costs."""


class Keys(Section):
    """Of a candidate with this method."""

    tiers: Annotated[tuple[Word, ...], Field(min_length=2, max_length=8)]
    """Other candidates of the task, cheapest first; the last may be `incumbent`: the rest is asked of the upstream."""
    margin: Annotated[float, Field(ge=0, le=0.5)] = 0.02
    """How far the chain's accuracy may be below the last tier's."""
    floor: OpenShare | None = None
    """The accuracy that the chain must have, instead of one near the last tier's."""
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = 0.95
    """Probability that the accuracy holds, over the draw of the validation rows."""
    max_escalated: Share = 1.0
    """Share of requests that may reach the last tier; thresholds that cannot be shown to keep to it are not taken."""
    on_failure: OnFailure = "cheaper"
    """Where a later tier fails or is busy: `cheaper`, the answer of the tier before it, or `fail`, none."""

    @model_validator(mode="after")
    def _each_once(self) -> Keys:
        if len(set(self.tiers)) < len(self.tiers) or INCUMBENT in self.tiers[:-1]:
            raise ValueError(f"tiers are different candidates, and {INCUMBENT} can only be the last one")
        return self


def tune(given: Given, keys: Keys) -> int:
    """See method.Method. Raises Unproven."""
    import numpy as np

    from trainer.tune.thresholds import Asked, Bar, fit

    assert given.held_out is not None and given.other is not None, "a chain is fitted on validation rows"
    rows = _independent(given.held_out)
    others = {name: given.other(name) for name in keys.tiers if name != INCUMBENT}
    for other in others.values():
        other.model.calibrate(given.held_out.texts, given.held_out.truth)
    scores = [other.model.score(rows.texts) for other in others.values()]
    truth = np.array(rows.truth)
    right = [found.argmax(axis=1) == truth for found in scores]
    prices = [_usd_per_1k(other, rows.texts) for other in others.values()]
    if keys.tiers[-1] == INCUMBENT:
        right.append(_incumbent_right(given, rows))
        prices.append(given.incumbent.usd_per_1k if given.incumbent else 0.0)
    sure = np.stack([found.max(axis=1) for found in scores[: len(keys.tiers) - 1]]).astype(np.float64)
    asked = Asked(sure, np.stack(right), prices)
    bar = Bar(keys.margin, keys.floor, keys.confidence, keys.max_escalated)
    found = fit(asked, bar)
    chain = _chain(given, keys, asked, found)
    used = {tier.name: others[tier.name] for tier in chain.bundles}
    given.say(f"{found.chosen.escalated:.1%} of {found.rows} validation rows reach {keys.tiers[-1]}")
    tunable: Any = given.tunable
    models = {name: other.model for name, other in used.items()}
    tunable.set_chain(chain, models, sum(other.parameters for other in used.values()))
    return 0


def _chain(given: Given, keys: Keys, asked: Asked, found: Fit) -> Chain:
    chosen = found.chosen
    tiers = [
        Tier(name=name, folder=name, threshold=threshold, usd_per_1k=price)
        for name, threshold, price in zip(keys.tiers, chosen.thresholds, asked.usd_per_1k, strict=False)
        if not isinf(threshold)
    ]
    last = Tier(name=keys.tiers[-1], folder=keys.tiers[-1], usd_per_1k=asked.usd_per_1k[-1])
    incumbent = ""
    if last.name == INCUMBENT:
        assert given.incumbent is not None
        incumbent = given.incumbent.version
        reached = asked.right[-1][asked.answered_by(chosen.thresholds) == len(chosen.thresholds)]
        # One row right and one wrong are added: of few rows that are all right the next may still be wrong.
        accuracy = (reached.sum() + 1) / (len(reached) + 2)
        last = last.model_copy(update={"folder": "", "accuracy": float(accuracy)})
    against = f"accuracy at most {keys.margin:g} below that of {keys.tiers[-1]}"
    if keys.floor is not None:
        against = f"accuracy of at least {keys.floor:g}"
    curve = tuple(
        ChainPoint(
            thresholds=tuple(None if isinf(level) else level for level in point.thresholds),
            usd_per_1k=point.usd_per_1k,
            escalated=point.escalated,
            accuracy=point.accuracy,
            low=point.low,
            high=point.high,
            gained=point.pairs.gained,
            lost=point.pairs.lost,
            p_value=point.p_value,
            proven=point.proven,
            chosen=point is chosen,
        )
        for point in found.curve
    )
    return Chain(
        tiers=(*tiers, last),
        incumbent=incumbent,
        on_failure=keys.on_failure,
        usd_per_1k=chosen.usd_per_1k,
        rows=found.rows,
        against=f"{against}, at {keys.confidence:.0%} confidence",
        curve=curve,
    )


def _independent(rows: HeldOut) -> HeldOut:
    """One row of each session or text: the exact tests take rows to be independent."""
    first = list({cluster: place for place, cluster in reversed(list(enumerate(rows.clusters)))}.values())
    places = sorted(first)
    return HeldOut(
        [rows.texts[place] for place in places],
        [rows.truth[place] for place in places],
        [rows.clusters[place] for place in places],
    )


def _incumbent_right(given: Given, rows: HeldOut) -> Any:
    import numpy as np

    if given.incumbent is None:
        raise Unproven("there is no incumbent to ask here; name a candidate as the last tier")
    fresh = [text for text in rows.texts if text not in given.incumbent.known]
    # One that is away is waited for, but not for longer than there is time to judge what is finished.
    left = max(0.0, given.deadline - time.monotonic())
    try:
        answers = given.incumbent.ask(fresh, within_s=left) if fresh else ()
    except HeadraceError as error:
        raise Unproven(f"{given.incumbent.version} does not answer the validation rows: {error}") from None
    said = dict(given.incumbent.known) | dict(zip(fresh, answers, strict=True))
    return np.array([said[text] == given.labels.ids[true] for text, true in zip(rows.texts, rows.truth, strict=True)])


def _usd_per_1k(other: Other, texts: Sequence[str]) -> float:
    """US dollars for a thousand requests, of the seconds that one alone takes."""
    taken = []
    for text in islice(cycle(texts), TIMED + WARM_UP):
        began = time.perf_counter()
        other.model.score([text])
        taken.append(time.perf_counter() - began)
    return 1000 * sum(taken[WARM_UP:]) / TIMED * other.usd_per_hour / 3600
