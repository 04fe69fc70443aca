"""What other ways of writing the same question cost: made by rules, not by a model and not by people.

Case, punctuation and blanks differ in each language; the words of politeness are English, and are put around texts of
Latin letters only. It is a lower bound on what real paraphrases cost: the words of the question stay.
"""

from __future__ import annotations

import random
import unicodedata

from headrace.contract.findings import Finding
from trainer.evaluate.perturbed import compared
from trainer.evaluate.subject import Subject

AROUND = (
    "hi, {}",
    "hello team, {} thanks",
    "quick question: {}",
    "{} please",
    "sorry to bother you but {}",
    "i was wondering, {}",
)


def evaluate(subject: Subject) -> Finding | None:
    """See trainer.evaluate.perturbed."""
    figures, n = compared(subject, reworded)
    if not figures:
        return None
    method = (
        "Rewording by rules, not paraphrases by people: punctuation left out, another case, and English words of"
        f" politeness around texts of Latin letters; {n} rows"
    )
    return Finding(method=method, figures=figures)


def reworded(text: str, drawn: random.Random) -> str:
    """The same words, written otherwise. drawn: decides how"""
    bare = "".join(" " if unicodedata.category(letter).startswith("P") else letter for letter in text)
    bare = " ".join(bare.split())
    if not bare:
        return text
    cased = drawn.choice((bare.lower(), bare.lower(), bare.upper(), bare[0].upper() + bare[1:]))
    latin = all(unicodedata.name(letter, "").startswith("LATIN") for letter in bare if letter.isalpha())
    around = drawn.choice(AROUND) if latin else "{}"
    return around.replace("{}", cased)
