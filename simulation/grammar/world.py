"""The company's questions: question i of an era is a function of (seed, era, i) and no text occurs twice in a world."""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import TypeVar

from simulation.grammar.chatter import Habits, dress
from simulation.grammar.tables import EXPERTS, LABELS, OUT_OF_SCOPE, Intent, System, Tables, tables
from simulation.grammar.template import Template, render

ERAS = (1, 2)
T = TypeVar("T")
_MARKS = re.compile(r"[\W_]+")
# Texts that find() looks through before it calls a question unknown, per era.
HORIZON = 30_000
_CHUNK = 1_000
# Some subjects are popular: each next intent of a label, wording of an intent and system of a label is drawn this many
# times as often as the one before it in its table.
INTENT_DECAY = {label: 0.65 if label == OUT_OF_SCOPE else 0.73 for label in LABELS}
WORDING_DECAY = 0.70
SYSTEM_DECAY = {1: 0.78, 2: 0.62}
# Whose systems people ask IT to let them into; those of `product` are customers' own affair.
ACCESSIBLE = ("hr", "it", "finance")
# Wordings tried for one intent before another is drawn.
_TRIES = 40


@dataclass(frozen=True, slots=True)
class Question:
    """What one employee asks.

    label: the expert who can answer it, the truth
    intent: the grammar's intent, or `system:NAME` for a question about a named system
    """

    text: str
    label: str
    intent: str
    era: int
    index: int


@dataclass(frozen=True, slots=True)
class Mix:
    """What people ask about in an era.

    labels: share of questions by label, in the order of LABELS
    news: share of questions about what came with this era (new systems, new subjects)
    new_systems: share of those that are about a named system
    systems: share of the other questions that are about a named system of era 1
    bare, access: shares of questions on named systems that tell nothing but the name, and that are about getting in
        (of IT's); the rest say what is done in it
    """

    labels: tuple[float, ...]
    news: float
    new_systems: float
    systems: float
    bare: float
    access: float


MIXES: Mapping[int, Mix] = {
    1: Mix(labels=(0.26, 0.27, 0.22, 0.20, 0.05), news=0.0, new_systems=0.0, systems=0.40, bare=0.45, access=0.30),
    2: Mix(labels=(0.22, 0.24, 0.22, 0.26, 0.06), news=0.40, new_systems=0.85, systems=0.40, bare=0.35, access=0.25),
}


class World:
    """A company of one seed. Questions are made on demand, in order, and kept."""

    def __init__(self, seed: int, habits: Habits | None = None, mixes: Mapping[int, Mix] = MIXES) -> None:
        self.seed = seed
        self._tables = tables()
        self._eras = {era: _Era(seed, era, self._tables, habits or Habits(), mixes[era]) for era in ERAS}

    def question(self, era: int, index: int) -> Question:
        """Question `index` (from 0) of an era."""
        return self._eras[era].upto(index + 1)[index]

    def questions(self, era: int, count: int, start: int = 0) -> list[Question]:
        """`count` questions of an era from `start` on."""
        return self._eras[era].upto(start + count)[start : start + count]

    def find(self, text: str) -> Question | None:
        """The question of exactly this text (case and blanks aside) among the first HORIZON of each era, if any."""
        key = _key(text)
        while True:
            for era in self._eras.values():
                if key in era.asked:
                    return era.asked[key]
            era = min(self._eras.values(), key=lambda era: len(era.asked))
            if len(era.asked) >= HORIZON:
                return None
            era.upto(len(era.asked) + _CHUNK)

    def systems(self, era: int) -> tuple[System, ...]:
        """The named systems that came with an era."""
        return tuple(system for system in self._tables.systems if system.era == era)

    def intents(self, label: str, era: int | None = None) -> tuple[Intent, ...]:
        """The intents of a label, of one era or of all."""
        return tuple(i for i in self._tables.intents if i.label == label and era in (None, i.era))


class _Era:
    """One era's questions. The two eras share no text because each takes the texts of one parity of their checksum."""

    def __init__(self, seed: int, era: int, grammar: Tables, habits: Habits, mix: Mix) -> None:
        self._rng = random.Random(f"headrace/{seed}/{era}")
        self._era, self._grammar, self._habits, self._mix = era, grammar, habits, mix
        self.asked: dict[str, Question] = {}
        self._made: list[Question] = []
        self._intents = {
            (label, era): [i for i in grammar.intents if i.label == label and i.era == era]
            for label in LABELS
            for era in ERAS
        }
        self._systems = {
            (label, era): [s for s in grammar.systems if s.label == label and s.era == era]
            for label in EXPERTS
            for era in ERAS
        }

    def upto(self, count: int) -> list[Question]:
        """At least `count` questions."""
        while len(self._made) < count:
            self._made.append(self._next())
        return self._made

    def _next(self) -> Question:
        rng, mix = self._rng, self._mix
        while True:
            label = rng.choices(LABELS, mix.labels)[0]
            news = rng.random() < mix.news
            era = 2 if news else 1
            if rng.random() < (mix.new_systems if news else mix.systems) and label != OUT_OF_SCOPE:
                access = label == "it" and rng.random() < mix.access
                owner = rng.choice(ACCESSIBLE) if access else label
                system = _popular(self._systems[owner, era], SYSTEM_DECAY[era], rng)
                question = self._ask(label, system, self._frames(access))
            else:
                intent = _popular(self._intents[label, era], INTENT_DECAY[label], rng)
                question = self._ask(label, intent, ())
            if question is not None:
                return question

    def _frames(self, access: bool) -> tuple[Template, ...]:
        frames = self._grammar.frames
        if access:
            return frames.access
        return frames.bare if self._rng.random() < self._mix.bare else frames.hint

    def _ask(self, label: str, subject: Intent | System, frames: tuple[Template, ...]) -> Question | None:
        """A new wording, or None where the subject has run out of them."""
        rng, words = self._rng, self._grammar.words
        for _ in range(_TRIES):
            if isinstance(subject, Intent):
                intent, keep = subject.name, ""
                core = render(_popular(subject.say, WORDING_DECAY, rng), rng, words)
            else:
                intent, keep = f"system:{subject.name}", subject.name
                core = render(rng.choice(frames), rng, {**words, "name": (keep,), "does": subject.does})
            text = dress(core, rng, self._grammar.chatter, words, self._habits, keep)
            key = _key(text)
            if zlib.crc32(key.encode()) % 2 == self._era % 2 and key not in self.asked:
                self.asked[key] = Question(text, label, intent, self._era, len(self._made))
                return self.asked[key]
        return None


def _popular(among: Sequence[T], decay: float, rng: random.Random) -> T:
    return rng.choices(among, cum_weights=_popularity(len(among), decay))[0]


@cache
def _popularity(count: int, decay: float) -> tuple[float, ...]:
    return tuple(accumulate(decay**n for n in range(count)))


def _key(text: str) -> str:
    """Two texts that differ in case, marks or blanks alone are the same question."""
    return _MARKS.sub(" ", text.lower()).strip()
