"""The keys of the plan's candidates that belong to their methods, and whether a method goes with a base.

A method is a file of the trainer's or of another package (headrace/kinds.py). Where it is not installed, as beside a
gateway, its keys are taken as they are: the trainer looks at them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from headrace import kinds
from headrace.errors import PlanError
from headrace.models.bases import EMBEDDED
from headrace.plan.models import CandidateSpec
from headrace.plan.section import Section, candidates, tables

OF_ALL_METHODS = frozenset({"epochs", "learning_rate", "rank", "batch"})
"""Keys that any candidate of a plan of version 1 may have, whether its method knows them or not."""
EVERYTHING = frozenset({"head", "gradient", "prompt", "text", "int8"})


def keys_of(spec: CandidateSpec) -> Section:
    """The candidate's keys as its method has them. Raises PlanError."""
    return _read(spec.method, spec.options)


def filled(method: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """A candidate's keys with the defaults of its method; as they are where that is not installed."""
    try:
        return _read(method, options).model_dump(mode="json")
    except PlanError:
        return dict(options)


def _read(method: str, options: Mapping[str, Any]) -> Section:
    """Without what a job file or a verdict of an older version says of every candidate, whatever its method."""
    keys: type[Section] = kinds.load("methods", method).Keys
    known = {
        key: value
        for key, value in options.items()
        if value is not None and (key in keys.model_fields or key not in OF_ALL_METHODS)
    }
    try:
        return keys.model_validate(known)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise PlanError(f"method {method!r}: {key}: {first['msg']}") from None


def mistakes(fields: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What is wrong with the methods of a plan's candidates, as pydantic says it: loc, msg, type, input."""
    yield from _dtypes(fields)
    for where, candidate in candidates(fields):
        name = candidate.get("method")
        if not isinstance(name, str) or not kinds.names("methods"):
            continue
        try:
            method = kinds.load("methods", name)
        except PlanError as error:
            yield {"loc": (*where, "method"), "msg": str(error), "type": "unknown", "input": candidate}
            continue
        own = {key: value for key, value in candidate.items() if key not in CandidateSpec.model_fields}
        try:
            method.Keys.model_validate(own)
        except ValidationError as error:
            for found in error.errors(include_url=False):
                yield {**found, "loc": (*where, *found["loc"]), "allowed": _allowed(method.Keys)}
        yield from _tiers(method, where, candidate, fields)
        base = candidate.get("base", CandidateSpec.model_fields["base"].default)
        if tables(fields.get("tasks"))[where[1]].get("kind") == "generate" and "text" not in _can(fields, base):
            said = f"a task of kind generate needs a base that writes text, which {base} does not"
            yield {"loc": (*where, "base"), "msg": said, "type": "unfit", "input": candidate}
            continue
        if candidate.get("quantize") and "int8" not in _can(fields, base):
            said = f"only an encoder is quantised, which {base} is not"
            yield {"loc": (*where, "quantize"), "msg": said, "type": "unfit", "input": candidate}
        if lacking := method.NEEDS - _can(fields, base):
            said = f"{name!r} needs a base that takes a {' and a '.join(sorted(lacking))}, which {base} does not"
            yield {"loc": (*where, "method"), "msg": said, "type": "unfit", "input": candidate}


def _tiers(
    method: Any, where: tuple[str, ...], candidate: Mapping[str, Any], fields: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Of a method that puts other candidates together: names that are no such candidates (Method.TIERS)."""
    key = getattr(method, "TIERS", "")
    named = candidate.get(key)
    there = tables(tables(fields.get("tasks"))[where[1]].get("candidates"))
    for name in named if isinstance(named, list) else ():
        if name == method.INCUMBENT or not isinstance(name, str):
            continue
        if name not in there:
            said = f"the task has no candidate {name!r}; it has {', '.join(there)}"
            yield {"loc": (*where, key), "msg": said, "type": "unfit", "input": name}
        elif there[name].get("method") == candidate["method"]:
            said = f"{name!r} is tuned by {candidate['method']!r} itself; name candidates of other methods"
            yield {"loc": (*where, key), "msg": said, "type": "unfit", "input": name}


def _dtypes(fields: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Bases whose family does not load them as they say."""
    for name, base in tables(fields.get("bases")).items():
        family, dtype = base.get("family"), base.get("dtype", "float32")
        if family in kinds.names("families") and dtype not in (known := kinds.load("families", family).DTYPES):
            said = f"a base of family {family!r} is loaded as {' or '.join(known)}"
            yield {"loc": ("bases", name, "dtype"), "msg": said, "type": "unfit", "input": dtype}


def makes(fields: Mapping[str, Any], candidate: Mapping[str, Any]) -> str:
    """The kind of bundle that a candidate becomes; empty where its method or its base's family is not known here."""
    name, base = candidate.get("method"), candidate.get("base", CandidateSpec.model_fields["base"].default)
    if candidate.get("quantize"):
        return "int8"
    if name not in kinds.names("methods"):
        return ""
    family = _family(fields, base)
    made: str = kinds.load("methods", name).MAKES or (kinds.load("families", family).tunable.kind if family else "")
    return made


def unread(fields: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """The place of each candidate of a plan of version 1, and a key of it that its method never looked at."""
    for where, candidate in candidates(fields):
        name = candidate.get("method")
        if name in kinds.names("methods"):
            for key in (OF_ALL_METHODS & set(candidate)) - set(kinds.load("methods", name).Keys.model_fields):
                yield where, key


def of_version_1(fields: dict[str, Any]) -> dict[str, Any]:
    """The plan without these keys."""
    for (_, task, _, name), key in list(unread(fields)):
        del fields["tasks"][task]["candidates"][name][key]
    return fields


def _allowed(keys: type[Section]) -> list[str]:
    return sorted({*CandidateSpec.model_fields, *keys.model_fields})


def _can(fields: Mapping[str, Any], base: Any) -> frozenset[str]:
    """What the base's family can do; all where it is not known, which is said elsewhere."""
    family = _family(fields, base)
    can: frozenset[str] = kinds.load("families", family).CAN if family else EVERYTHING
    return can


def _family(fields: Mapping[str, Any], base: Any) -> str:
    """Of a base of the plan or an embedded one; empty where it is not known."""
    if not isinstance(base, str):
        return ""
    own = tables(fields.get("bases")).get(base, {}).get("family")
    family = own or (EMBEDDED[base].family if base in EMBEDDED else "")
    return str(family) if family in kinds.names("families") else ""
