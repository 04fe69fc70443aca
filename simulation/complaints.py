"""How the case study's 685 rows come about, on questions of any labels: feedback, the judge, the experts. Pure, seeded.

Answers are given in turn until `wanted` of them have feedback (simulation.company has the rates). The judge reads the
complaints and picks those that it blames on routing (simulation.upstreams), experts read these (simulation.experts).
An answer becomes a row of ground truth where an expert says that it was the wrong label, with the label that the expert
names; and where a user is satisfied, with the label that was answered. All of the first become rows, and of the second
as many, drawn at random, as are lacking to `rows`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from simulation.company import react
from simulation.experts import REVIEW_PRECISION, read
from simulation.grammar import Question
from simulation.upstreams import verdict


@dataclass(frozen=True, slots=True)
class Funnel:
    """Places of answers, in the order in which they were given.

    given: how many were given until enough had feedback
    satisfied, displeased: those with feedback; flagged: displeased, and the judge blames routing
    confirmed: flagged, and an expert names another label
    truth: the rows of ground truth, in an order that is drawn, with their labels
    """

    given: int
    satisfied: tuple[int, ...]
    displeased: tuple[int, ...]
    flagged: tuple[int, ...]
    confirmed: tuple[int, ...]
    truth: tuple[tuple[int, str], ...]

    @property
    def silent(self) -> tuple[int, ...]:
        """Given, and nobody said anything about them."""
        spoken = {*self.satisfied, *self.displeased}
        return tuple(place for place in range(self.given) if place not in spoken)


def funnel(
    texts: Sequence[str], truth: Sequence[str], answered: Sequence[str], labels: Sequence[str], seed: int,
    wanted: int = 1224, rows: int = 685,
) -> Funnel:  # fmt: skip
    """texts: what is asked, in turn; truth, answered: the right label of each, and the one that was given

    Fewer than `wanted` or `rows` where there are too few answers.
    """
    satisfied: list[int] = []
    displeased: list[int] = []
    given = 0
    for place, text in enumerate(texts):
        if len(satisfied) + len(displeased) == wanted:
            break
        given += 1
        question = Question(text, truth[place], intent="", era=1, index=place)
        reactions = react(question, answered[place], random.Random(f"{seed}/reaction/{text}"))
        if reactions:
            (satisfied if reactions[0].value == 1 else displeased).append(place)
    flagged = [
        place
        for place in displeased
        if verdict(truth[place], answered[place], labels, random.Random(f"{seed}/judge/{texts[place]}"))["blame"]
        == "routing"
    ]
    named = {
        place: read(truth[place], labels, REVIEW_PRECISION, random.Random(f"{seed}/expert/{texts[place]}"))
        for place in flagged
    }
    confirmed = [place for place, label in named.items() if label != answered[place]]
    draw = random.Random(f"{seed}/rows")
    thumbs = draw.sample(satisfied, max(0, min(rows - len(confirmed), len(satisfied))))
    found = [(place, named[place]) for place in confirmed] + [(place, answered[place]) for place in thumbs]
    draw.shuffle(found)
    return Funnel(given, tuple(satisfied), tuple(displeased), tuple(flagged), tuple(confirmed), tuple(found[:rows]))
