"""The plan's engines: what answers, how much at once, and what it costs. Each kind has its own keys besides."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import ConfigDict, Field, ValidationError

from headrace import kinds
from headrace.plan import methods
from headrace.plan.section import NotNegative, Section, candidates, table, tables


class EngineKeys(Section):
    """The keys that every kind of engine has; a kind's own class adds to them (`Keys` in its file)."""

    kind: Annotated[str, Field(max_length=100)]
    """A file of serving/engines/kinds, as `openai`, or of another folder that is installed (headrace/kinds.py)."""
    url: Annotated[str, Field(pattern=r"^(https?://[^\s]+)?$", max_length=2000)] = ""
    """Where it is, for a kind that answers elsewhere."""
    capacity: Annotated[int, Field(ge=1, le=100_000)] = 256
    """Requests in progress at once, on each of its hosts."""
    queue: Annotated[int, Field(ge=0, le=1_000_000)] = 4096
    """How many more may wait for a place; beyond that a request is refused with when to come again."""
    usd_per_hour: NotNegative | None = None
    """Price of a host, split between the requests in progress; left out: the candidate's own."""


class EngineSpec(EngineKeys):
    """An engine: a kind, the keys above, and the kind's own."""

    model_config = ConfigDict(extra="allow")

    url: str = ""
    """Where it is; the kind says what it may be."""

    def keys(self) -> EngineKeys:
        """All of them, as the kind's own class. Raises PlanError, or ValidationError where `mistakes` would say why."""
        found: EngineKeys = kinds.load("engines", self.kind).Keys.model_validate_json(
            self.model_dump_json(exclude_unset=True)
        )
        return found


def price(engines: Mapping[str, EngineSpec], name: str, own: float) -> float:
    """US dollars an hour of what serves a candidate: the price of the engine that it names, else its own."""
    found = engines[name].usd_per_hour if name in engines else None
    return own if found is None else found


def why_not(kind: str, bundle: str) -> str:
    """What a kind of engine says about a kind of bundle that it does not take: why, and what does; empty: nothing."""
    said: Mapping[str, str] = getattr(kinds.load("engines", kind), "WHY_NOT", {})
    return said.get(bundle, "")


def mistakes(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the plan's own classes do not see, as pydantic's errors: the keys of a kind, and who names which engine.

    fields: the plan as TOML reads it
    """
    every = table(fields.get("engines"))
    found: list[dict[str, Any]] = []
    for name, keys in tables(every).items():
        if isinstance(keys.get("kind"), str):
            found += _of_table(name, keys)
    for loc, name in _named(fields):
        if name not in every:
            there = ", ".join(every) or "none"
            found.append(_mistake(loc, name, f"the plan has no such engine; it has {there}"))
        elif (kind := table(every[name]).get("kind")) in kinds.names("engines") and not _bundles(kind):
            found.append(_mistake(loc, name, f"an engine of kind {kind} serves no trained models, only its own"))
    return [*found, *_unfit(fields, tables(every))]


def _unfit(fields: Mapping[str, Any], engines: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Candidates whose bundles their engine does not take."""
    for loc, candidate in candidates(fields):
        named = candidate.get("engine") or table(table(fields.get("tasks")).get(loc[1])).get("engine")
        kind = table(engines.get(named) if isinstance(named, str) else None).get("kind")
        made = methods.makes(fields, candidate)
        if made == "chain":  # each of its tiers answers on an engine of its own
            continue
        if made and kind in kinds.names("engines") and (takes := _bundles(kind)) and made not in takes:
            method, only = candidate["method"], " and ".join(sorted(takes))
            said = f"method {method!r} makes a bundle of kind {made!r}, and engine {named} takes {only}"
            why = why_not(kind, made) or "name another engine or method"
            yield _mistake((*loc, "method"), method, f"{said}; {why}")


def _of_table(name: str, keys: dict[str, Any]) -> Iterator[dict[str, Any]]:
    kind = keys["kind"]
    there = kinds.names("engines")
    if not there:  # the gateway is not installed here, and looks at them where it is
        return
    if kind not in there:
        yield _mistake(("engines", name, "kind"), kind, f"there is no such kind; there are {', '.join(there)}")
        return
    known: type[EngineKeys] = kinds.load("engines", kind).Keys
    try:
        known.model_validate_json(json.dumps(keys, default=str))
    except ValidationError as error:
        for complaint in error.errors(include_url=False):
            loc = ("engines", name, *complaint["loc"])
            yield {**complaint, "loc": loc, "allowed": sorted(known.model_fields)}


def _bundles(kind: str) -> frozenset[str]:
    found: frozenset[str] = kinds.load("engines", kind).BUNDLES
    return found


def _named(fields: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    naming = [(("tasks", task), keys) for task, keys in tables(fields.get("tasks")).items()]
    for loc, keys in [*naming, *candidates(fields)]:
        name = keys.get("engine")
        if name and isinstance(name, str):
            yield (*loc, "engine"), name


def _mistake(loc: tuple[str, ...], given: str, message: str) -> dict[str, Any]:
    return {"loc": loc, "type": "value_error", "msg": message, "input": given}
