"""The normal form of a text, its digest, and its place in a split.

Two texts are the same question where their normal forms are equal. ClickHouse computes the same form
(headrace/warehouse/queries/trainer/curate_*.sql); a test holds both to it.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

# Default-ignorable characters: soft hyphen, joiners, direction marks, byte order mark, variation selectors.
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufe00-\ufe0f\ufeff\U000e0100-\U000e01ef]"
)
KEPT_CATEGORIES = frozenset({"Sm", "Sc", "So"})
KEPT_SIGNS = frozenset("#%")
MINUS = "\u2212"
# What a punctuation mark between two numbers becomes: the mathematical sign that it stands for there.
OPERATORS = {"*": "\u2217", "/": "\u2044", "^": "\u2191", "&": "\u2227"}
_OPERATOR = re.compile(r" *([*/^&]) *")


class _Kept(dict[int, str]):
    """What each character becomes: itself, or a blank."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        category = unicodedata.category(char)
        kept = category[0] in "LMN" or category in KEPT_CATEGORIES or char in KEPT_SIGNS
        return self.setdefault(code, char if kept else " ")


_KEPT = _Kept()


def normal(text: str) -> str:
    """Letters with their marks, numbers and symbols, in compatibility form, caseless, one space between words.

    Punctuation and invisible characters make no difference. What changes the meaning does: combining marks (vowel
    signs, tones, points), mathematical signs (C++), currencies, emoji, `#` (C#), `%`, a minus before a number that
    follows neither a letter nor a number (-5, but not covid-19), `* / ^ &` between two numbers, and `!=`. May be empty.
    """
    visible = INVISIBLE.sub("", text)
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", visible).casefold())
    if "-" in folded:
        folded = "".join(_signed(folded))
    if _OPERATOR.search(folded):
        folded = _calculated(folded)
    folded = folded.replace("!=", "\u2260")
    return " ".join(folded.translate(_KEPT).split())


def digest(normalised: str) -> str:
    """The name of a normalised text: 32 hex digits of its sha256."""
    return hashlib.sha256(normalised.encode()).hexdigest()[:32]


def uniform(text_digest: str, salt: str) -> float:
    """A number in [0, 1) of the text and the salt alone: a text never changes its side of a split."""
    drawn = hashlib.sha256(f"{salt}\x1f{text_digest}".encode()).digest()
    return int.from_bytes(drawn[:7]) / (1 << 56)


def _signed(folded: str) -> list[str]:
    """The characters, with a minus sign in place of each hyphen that is one."""
    chars = list(folded)
    for place, char in enumerate(chars):
        if char == "-" and place + 1 < len(chars) and unicodedata.category(chars[place + 1])[0] == "N":
            before = unicodedata.category(chars[place - 1])[0] if place else ""
            if before not in ("L", "M", "N"):
                chars[place] = MINUS
    return chars


def _calculated(folded: str) -> str:
    """The text with a mathematical sign in place of each mark between two numbers."""
    found, *rest = _OPERATOR.split(folded)
    for mark, after in zip(rest[::2], rest[1::2], strict=True):
        between = found and after and unicodedata.category(found[-1])[0] == unicodedata.category(after[0])[0] == "N"
        found += (OPERATORS[mark] if between else " ") + after
    return found
