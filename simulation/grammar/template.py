"""The grammar's notation: `(a|b|)` chooses one of its branches, `{slot}` takes a word; both nest."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Slot:
    """A word to be filled in."""

    name: str


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the branches, each as likely."""

    branches: tuple[Template, ...]


Template: TypeAlias = tuple[str | Slot | Choice, ...]


def parse(text: str) -> Template:
    """Read a template. Raises ValueError naming the template when a bracket is open or left over."""
    branches, rest = _branches(text, 0, text)
    if rest != len(text) or len(branches) != 1:
        raise ValueError(f"template {text!r}: a ')' or '|' stands outside of brackets at character {rest}")
    return branches[0]


def render(template: Template, rng: random.Random, words: Mapping[str, Sequence[str]]) -> str:
    """One sentence of the template. Raises KeyError for a slot that `words` does not have."""
    out: list[str] = []
    _render(template, rng, words, out)
    return " ".join("".join(out).split()).replace(" ?", "?").replace(" ,", ",")


def _render(template: Template, rng: random.Random, words: Mapping[str, Sequence[str]], out: list[str]) -> None:
    for part in template:
        if isinstance(part, str):
            out.append(part)
        elif isinstance(part, Slot):
            among = words[part.name]
            out.append(among[int(rng.random() * len(among))])
        else:
            _render(part.branches[int(rng.random() * len(part.branches))], rng, words, out)


def _branches(text: str, at: int, whole: str) -> tuple[list[Template], int]:
    branches: list[Template] = []
    parts: list[str | Slot | Choice] = []
    literal = ""
    while at < len(text) and text[at] != ")":
        sign = text[at]
        if sign in "({|" and literal:
            parts.append(literal)
            literal = ""
        if sign == "(":
            inner, at = _branches(text, at + 1, whole)
            if at >= len(text):
                raise ValueError(f"template {whole!r}: a '(' is never closed")
            parts.append(Choice(tuple(inner)))
        elif sign == "{":
            end = text.find("}", at)
            if end < 0:
                raise ValueError(f"template {whole!r}: a '{{' is never closed")
            parts.append(Slot(text[at + 1 : end]))
            at = end
        elif sign == "|":
            branches.append(tuple(parts))
            parts = []
        else:
            literal += sign
        at += 1
    if literal:
        parts.append(literal)
    branches.append(tuple(parts))
    return branches, at
