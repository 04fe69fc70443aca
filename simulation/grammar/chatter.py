"""What surrounds a question when people type it: greetings, stray sentences, thanks, abbreviations, typos, case."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from simulation.grammar.tables import Chatter
from simulation.grammar.template import render


@dataclass(frozen=True, slots=True)
class Habits:
    """How people write; each a share of questions."""

    greet: float = 0.15
    thank: float = 0.12
    before: float = 0.05
    distract: float = 0.04
    abbreviate: float = 0.06
    typo: float = 0.10
    lower: float = 0.40
    no_mark: float = 0.35


def dress(
    question: str,
    rng: random.Random,
    chatter: Chatter,
    words: Mapping[str, Sequence[str]],
    habits: Habits,
    keep: str = "",
) -> str:
    """The question as somebody would type it; `keep` is a word that stays legible, as a system's name."""
    if rng.random() < habits.abbreviate:
        question = _abbreviate(question, chatter.abbreviations)
    if rng.random() < habits.no_mark:
        question = question.rstrip("?")
    lower = rng.random() < habits.lower
    before = rng.random()
    front = ""
    if before < habits.before:
        front = _one(chatter.before, rng, words)
    elif before < habits.before + habits.distract:
        front = _one(chatter.distract, rng, words)
    if not lower:
        question = question[0].upper() + question[1:]
        front = front[:1].upper() + front[1:]
    text = f"{front} {question}" if front else question
    if rng.random() < habits.greet:
        mark = ("", ",", "!", " -")[int(rng.random() * 4)]
        text = f"{_one(chatter.greeting, rng, words)}{mark} {text}"
    if rng.random() < habits.thank:
        mark = "" if text.endswith("?") else (".", ",", "", " -")[int(rng.random() * 4)]
        text = f"{text}{mark} {_one(chatter.thanks, rng, words)}"
    if rng.random() < habits.typo:
        text = _mistype(text, rng, keep)
    return text.lower() if lower else text


def _one(templates: Sequence[tuple], rng: random.Random, words: Mapping[str, Sequence[str]]) -> str:
    return render(templates[int(rng.random() * len(templates))], rng, words)


def _abbreviate(text: str, abbreviations: Mapping[str, str]) -> str:
    out = []
    for word in text.split():
        bare = word.rstrip("?,.")
        out.append(abbreviations.get(bare, bare) + word[len(bare) :])
    return " ".join(out)


def _mistype(text: str, rng: random.Random, keep: str) -> str:
    """Drop, double or swap a letter inside one or two words of five letters or more."""
    parts = text.split()
    long = [i for i, word in enumerate(parts) if len(word) >= 5 and word.isalpha() and word != keep]
    if not long:
        return text
    for _ in range(1 + (rng.random() < 0.3)):
        i = long[int(rng.random() * len(long))]
        word = parts[i]
        at = 1 + int(rng.random() * (len(word) - 2))
        match int(rng.random() * 3):
            case 0:
                parts[i] = word[:at] + word[at + 1 :]
            case 1:
                parts[i] = word[:at] + word[at] + word[at:]
            case _:
                parts[i] = word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :]
    return " ".join(parts)
