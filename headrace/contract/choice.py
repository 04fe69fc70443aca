"""How a model that writes text is asked for a label, and which label its answer names: alike for whoever asks it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from headrace.contract.completions import answer_in
from headrace.plan.labels import folded, names_of

MIN_TOKENS = 32
"""An answer that names a label may have at least so many tokens."""
_DRESSING = " \t\r\n\"'`*.,:;!"
_LONGEST, _DEEPEST = 4096, 4
"""An answer of more characters, or what is further inside its JSON, names no label."""
_FENCE = re.compile(r"```(?:json)?\s*(.*?)\s*```", re.DOTALL | re.IGNORECASE)


class Choice:
    """The labels that a task chooses from.

    names: the labels' texts, which a model that writes text reads and answers with, by their ids
    """

    def __init__(self, names: Mapping[str, str], describe: Mapping[str, str]) -> None:
        self.labels = tuple(names)
        self.instruction = instruction(names, describe)
        # No tokenizer needs more tokens for a text than it has bytes.
        self.max_tokens = max([MIN_TOKENS, *(len(text.encode()) for text in names.values())])
        self._exact = {folded(label): label for label in names} | {folded(text): label for label, text in names.items()}
        self._dressed = _of_one_label((_plain(said), label) for said, label in self._exact.items())

    def named(self, text: str) -> str | None:
        """The label that a model's text is, however it is dressed up; None where it is none, or may be several.

        Of JSON, as structured outputs and calls of tools are, it is the one that the outermost values that are labels
        have in common: it of {"label": "it", "reason": "a laptop", "others": ["hr"]}.
        """
        said = text.strip()
        return (self._called(said) or self._held(said)) if len(said) <= _LONGEST else None

    def _called(self, text: str) -> str | None:
        return self._exact.get(folded(text)) or self._dressed.get(_plain(text))

    def _held(self, text: str) -> str | None:
        """The label that JSON holds."""
        fenced = _FENCE.fullmatch(text)
        bare = fenced[1] if fenced else text
        if not bare.startswith(("{", "[")):
            return None
        try:
            level = [json.loads(bare)]
        except (ValueError, RecursionError):
            return None
        for _ in range(_DEEPEST):
            level = list(_inside(level))
            if found := {label for one in level if isinstance(one, str) and (label := self._called(one))}:
                return found.pop() if len(found) == 1 else None
        return None


def label_in(answer: str, texts: tuple[str, ...]) -> str:
    """The label that an answer says behind the model's thoughts, see Choice.named; "" for none. texts: the labels'"""
    said = answer_in(answer)
    return _choice(texts).named(said) or "" if said else ""


@lru_cache(maxsize=100)
def _choice(texts: tuple[str, ...]) -> Choice:
    return Choice(names_of(texts), {})


def _inside(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, dict):
            yield from value.values()
        elif isinstance(value, list):
            yield from value


def instruction(names: Mapping[str, str], describe: Mapping[str, str]) -> str:
    """The system message: what the labels stand for, and that the answer is one of them and nothing else."""
    lines = [f"- {text}: {describe[label]}" if label in describe else f"- {text}" for label, text in names.items()]
    return "\n".join(
        [
            "You send each question to the one expert who answers it. The experts:",
            *lines,
            "Answer with one name of this list, exactly as written, and nothing else.",
        ]
    )


def _of_one_label(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The label by what it is called, without the names that are empty or that several labels have."""
    found: dict[str, str] = {}
    several = {""}
    for name, label in pairs:
        if found.setdefault(name, label) != label:
            several.add(name)
    return {name: label for name, label in found.items() if name not in several}


def _plain(text: str) -> str:
    """As models dress a name up: case, quotes, a full stop, spaces or dashes for underscores."""
    return re.sub(r"[\s-]+", "_", folded(text).strip(_DRESSING))
