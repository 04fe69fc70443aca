"""How simulated employees behave: who asks when, who reacts to an answer, and how. Pure and seeded.

The case study's funnel, reproduced by construction at an incumbent that is 96 % right. Of 5,000 answers:

    right, pleased      4,800 x .80 = 3,840, of whom .189 react -> 726 satisfied
    right, displeased   4,800 x .20 =   960, of whom .470 react ->                451 not
    wrong                               200, of whom .245 react ->   4 satisfied,  45 not
                                                        together  730 satisfied, 496 not, 1,226 in all

The case study had 1,224, 729 and 495. Its judge (simulation.upstreams) blames routing for .71 x 45 + .24 x 451 = 140 of
them, and experts confirm the 32 that are. Who is displeased with a right answer (slow, long, poor) reacts more often
than who is pleased, so the thumbs say 60 % where the truth is 96 %; who was sent to the wrong expert is nearly always
unhappy about it, but mostly goes and asks elsewhere.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass

from simulation.grammar import LABELS, Question, World

EMPLOYEES = 4_000

DISPLEASED_IF_RIGHT = 0.20
REACTS_IF_PLEASED = 0.189
REACTS_IF_DISPLEASED = 0.470
REACTS_IF_WRONG = 0.245
# A misrouted employee's slip of the thumb.
HAPPY_IF_WRONG = 0.08

# The first sign of displeasure; who shows none of these presses the thumb down.
IMPLICIT = (("rephrase", 0.12), ("escalation", 0.07), ("abandon", 0.07))
# Of those unhappy with a wrong expert: how many name the right one, by a correction or by moving the question
# themselves, and how often the one they name is right.
CORRECTS_IF_WRONG = 0.20
REROUTES_IF_WRONG = 0.05
CORRECTION_PRECISION = 0.95

COMMENTS = ("that did not help", "not what I asked", "took too long", "still stuck", "too long to read")
COMMENTS_SHARE = 0.3
# Median seconds until a sign is given; lognormal with DELAY_SPREAD.
DELAY_S = {"thumb": 20.0, "correction": 45.0, "rephrase": 40.0, "reroute": 90.0, "escalation": 600.0, "abandon": 120.0}
DELAY_SPREAD = 0.8


@dataclass(frozen=True, slots=True)
class Reaction:
    """One sign of how good an answer was; fields as in headrace.contract.events.Feedback.

    delay_s: how long after the answer, seconds
    """

    source: str
    signal: str
    value: float | None = None
    label: str = ""
    comment: str = ""
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Session:
    """One to three questions that one employee asks in a row.

    user_ref: a pseudonym
    """

    session_id: str
    user_ref: str
    tenant: str
    questions: tuple[Question, ...]


def session_length(rng: random.Random) -> int:
    """Questions in a session: 1, 2 or 3."""
    return rng.choices((1, 2, 3), (0.6, 0.3, 0.1))[0]


def sessions(world: World, era: int, start: int = 0, tenant: str = "default") -> Iterator[Session]:
    """An era's questions from `start` on, as sessions, without end; the same arguments give the same sessions."""
    rng = random.Random(f"{world.seed}/sessions/{era}/{start}")
    while True:
        questions = tuple(world.questions(era, session_length(rng), start))
        name = f"{world.seed}/{era}/{start}"
        yield Session(_pseudonym("s", name), _employee(world.seed, rng), tenant, questions)
        start += len(questions)


def react(question: Question, answered: str, rng: random.Random) -> list[Reaction]:
    """What an employee does about an answer: nothing, most of the time."""
    right = answered == question.label
    if right:
        pleased = rng.random() >= DISPLEASED_IF_RIGHT
        reacts = REACTS_IF_PLEASED if pleased else REACTS_IF_DISPLEASED
    else:
        pleased, reacts = rng.random() < HAPPY_IF_WRONG, REACTS_IF_WRONG
    if rng.random() >= reacts:
        return []
    if pleased:
        return [Reaction("user", "thumb", value=1, delay_s=_delay("thumb", rng))]
    reactions = [_complaint(rng)]
    if not right:
        reactions += _putting_right(question, answered, rng)
    return reactions


def _complaint(rng: random.Random) -> Reaction:
    drawn = rng.random()
    for signal, share in IMPLICIT:
        if drawn < share:
            return Reaction("implicit", signal, delay_s=_delay(signal, rng))
        drawn -= share
    comment = rng.choice(COMMENTS) if rng.random() < COMMENTS_SHARE else ""
    return Reaction("user", "thumb", value=-1, comment=comment, delay_s=_delay("thumb", rng))


def _putting_right(question: Question, answered: str, rng: random.Random) -> list[Reaction]:
    drawn = rng.random()
    if drawn >= CORRECTS_IF_WRONG + REROUTES_IF_WRONG:
        return []
    label = question.label
    if rng.random() >= CORRECTION_PRECISION:
        label = rng.choice([other for other in LABELS if other not in (question.label, answered)])
    if drawn < CORRECTS_IF_WRONG:
        return [Reaction("user", "correction", label=label, delay_s=_delay("correction", rng))]
    return [Reaction("implicit", "reroute", label=label, delay_s=_delay("reroute", rng))]


def _delay(signal: str, rng: random.Random) -> float:
    return DELAY_S[signal] * rng.lognormvariate(0.0, DELAY_SPREAD)


def _employee(seed: int, rng: random.Random) -> str:
    return _pseudonym("u", f"{seed}/{rng.randrange(EMPLOYEES)}")


def _pseudonym(kind: str, name: str) -> str:
    return f"{kind}-{hashlib.blake2s(name.encode(), digest_size=8).hexdigest()}"
