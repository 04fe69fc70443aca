"""What typing mistakes cost: letters that are swapped, left out, doubled or replaced, one in a dozen of them."""

from __future__ import annotations

import random
import unicodedata

from headrace.contract.findings import Finding
from trainer.evaluate.perturbed import compared
from trainer.evaluate.subject import Subject

LETTERS_A_TYPO = 12
JOINER = "\u200d"


def evaluate(subject: Subject) -> Finding | None:
    """See trainer.evaluate.perturbed."""
    figures, n = compared(subject, misspelt)
    if not figures:
        return None
    method = (
        f"One seeded edit for every {LETTERS_A_TYPO} letters, at least one a text: two neighbours swapped, a letter"
        f" left out, doubled, or replaced by another of the same text; {n} rows"
    )
    return Finding(method=method, figures=figures)


def misspelt(text: str, drawn: random.Random) -> str:
    """The text with typing mistakes in any script: a letter keeps its marks, and digits and symbols stay as they are.

    drawn: decides which; a text without letters stays as it is
    """
    letters = clusters(text)
    places = [place for place, letter in enumerate(letters) if letter[0].isalpha()]
    if not places:
        return text
    others = [letters[place] for place in places]
    # From the end, so that an edit moves no letter that is still to be edited.
    for place in sorted(drawn.sample(places, max(1, len(places) // LETTERS_A_TYPO)), reverse=True):
        kind = drawn.randrange(4)
        if kind == 0 and place + 1 < len(letters) and letters[place + 1][0].isalpha():
            letters[place], letters[place + 1] = letters[place + 1], letters[place]
        elif kind == 1 and len(places) > 1:
            del letters[place]
        elif kind == 2:
            letters.insert(place, letters[place])
        else:
            letters[place] = drawn.choice(others)
    return "".join(letters)


def clusters(text: str) -> list[str]:
    """The text's characters, each with the marks, modifiers and joined characters that belong to it.

    A small part of UAX #29: enough to keep accents, vowel signs and joined emoji whole.
    """
    found: list[str] = []
    for character in text:
        continues = unicodedata.category(character) in ("Mn", "Mc", "Me", "Sk") or character == JOINER
        if found and (continues or found[-1].endswith(JOINER)):
            found[-1] += character
        else:
            found.append(character)
    return found
