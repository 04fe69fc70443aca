"""The grammar's tables, read from the TOML files beside this module."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from simulation.grammar.template import Template, parse

EXPERTS = ("hr", "it", "finance", "product")
OUT_OF_SCOPE = "out_of_scope"
LABELS = (*EXPERTS, OUT_OF_SCOPE)

DESCRIBE: Mapping[str, str] = MappingProxyType(
    {
        "hr": "human resources: pay, leave, benefits, careers, training, conduct, employment papers",
        "it": "IT support: devices, accounts, access to any internal system, software, network, security",
        "finance": "finance: expenses, business travel, purchasing, suppliers, invoices, budgets, company cards",
        "product": "product documentation: the field-service platform that the company sells to customers",
        "out_of_scope": "anything else: private matters, the world at large, canteen, parking and the building",
    }
)


@dataclass(frozen=True, slots=True)
class Intent:
    """One thing that people ask one expert, in several wordings."""

    name: str
    label: str
    era: int
    say: tuple[Template, ...]


@dataclass(frozen=True, slots=True)
class System:
    """A named system; its name tells nothing, `does` is what people do in it."""

    name: str
    label: str
    era: int
    does: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Frames:
    """Questions about named systems: by name alone, by name and deed, and about getting in (always IT's)."""

    bare: tuple[Template, ...]
    hint: tuple[Template, ...]
    access: tuple[Template, ...]


@dataclass(frozen=True, slots=True)
class Chatter:
    """What stands around a question."""

    greeting: tuple[Template, ...]
    thanks: tuple[Template, ...]
    before: tuple[Template, ...]
    distract: tuple[Template, ...]
    abbreviations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Tables:
    """The whole grammar."""

    intents: tuple[Intent, ...]
    systems: tuple[System, ...]
    frames: Frames
    chatter: Chatter
    words: Mapping[str, tuple[str, ...]]


@cache
def tables() -> Tables:
    """Read once. Raises ValueError naming the template or the table that is wrong."""
    intents = tuple(
        Intent(name, label, int(body.get("era", 1)), _templates(body["say"]))
        for label in LABELS
        for name, body in _read(label).items()
    )
    systems = _read("systems")
    frames = systems.pop("frames")
    chatter = _read("chatter")
    return Tables(
        intents=intents,
        systems=tuple(
            System(name, label, int(era), tuple(does))
            for label, eras in systems.items()
            for era, named in eras.items()
            for name, does in named.items()
        ),
        frames=Frames(**{kind: _templates(frames[kind]) for kind in ("bare", "hint", "access")}),
        chatter=Chatter(
            **{kind: _templates(chatter[kind]) for kind in ("greeting", "thanks", "before", "distract")},
            abbreviations=MappingProxyType(chatter["abbreviations"]),
        ),
        words=MappingProxyType({slot: tuple(words) for slot, words in _read("words").items()}),
    )


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((files(__package__) / f"{name}.toml").read_text(encoding="utf-8"))


def _templates(texts: list[str]) -> tuple[Template, ...]:
    return tuple(parse(text) for text in texts)
