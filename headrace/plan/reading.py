"""From the text of a plan to a Plan, or to sentences that say where it is wrong and what is allowed there."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from headrace.errors import PlanError
from headrace.plan import engines, methods
from headrace.plan.sections import Plan


def load(path: Path) -> Plan:
    """Read and check a plan file."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise PlanError(f"there is no plan at {path}; set HEADRACE_PLAN to the path of your flywheel.toml") from None
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"the plan at {path} cannot be read: {error}") from None
    return parse(text, str(path))


def parse(text: str, name: str = "flywheel.toml") -> Plan:
    """Check a plan's text; `name` is how errors call the file. Every mistake is told, a line each."""
    try:
        fields = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PlanError(f"{name} is not TOML: {error}") from None
    if fields.get("version") == 1:
        fields = methods.of_version_1(fields)
    # What a method or a kind of engine takes is looked at beside the rest, so that every mistake is told at once.
    complaints: list[Any] = [*methods.mistakes(fields), *engines.mistakes(fields)]
    try:
        plan = Plan.model_validate_json(json.dumps(fields, default=str))
    except ValidationError as error:
        complaints = error.errors(include_url=False) + complaints
    if not complaints:
        return plan
    # A key that every kind of engine has is complained about by the plan's class and by the kind's.
    found = list(dict.fromkeys(_sentence(text, name, complaint) for complaint in complaints))
    raise PlanError(found[0] if len(found) == 1 else "\n  ".join([f"{name} has {len(found)} mistakes:", *found]))


def _sentence(text: str, name: str, complaint: Any) -> str:
    loc = [str(part) for part in complaint["loc"]]
    key = ".".join(loc) or "the plan"
    line = line_of(text, loc)
    where = f"{name}, line {line}" if line else name
    message = complaint["msg"].removeprefix("Value error, ")
    given = complaint.get("input")
    if complaint["type"] == "extra_forbidden":
        allowed = ", ".join(complaint.get("allowed") or allowed_keys(loc[:-1]))
        return f"{where}: {key} is not a key of the plan; allowed here: {allowed}"
    if complaint["type"] == "missing":
        return f"{where}: {key} is missing"
    if isinstance(given, dict | list):
        return f"{where}: {key}: {message}"
    return f"{where}: {key} is {given!r}; {message[0].lower()}{message[1:]}"


def allowed_keys(loc: list[str]) -> list[str]:
    """The keys that the plan's schema allows in the table at `loc`."""
    schema: dict[str, Any] = Plan.model_json_schema()
    node: dict[str, Any] = schema
    for part in [*loc, None]:
        node = _resolve(schema, node)
        if part is None:
            break
        properties = node.get("properties", {})
        named = [*node.get("patternProperties", {}).values(), {}]  # a table whose keys the user chooses
        node = properties.get(part, named[0])
    return sorted(node.get("properties", {}))


def _resolve(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    for choice in (node, *node.get("anyOf", ()), *node.get("allOf", ())):
        if "$ref" in choice:
            found: dict[str, Any] = schema["$defs"][choice["$ref"].rsplit("/", 1)[1]]
            return found
    return node


def line_of(text: str, loc: list[str]) -> int:
    """The 1-based line where a key, or else its nearest enclosing table, is written; 0 where none is."""
    best, best_depth, table = 0, 0, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[\[?([^\]]+)\]\]?", line)
        pair = re.match(r"""\s*([A-Za-z0-9_."'-]+)\s*=""", line)
        if header:
            table = found = _split(header[1])
        elif pair:
            found = table + _split(pair[1])
        else:
            continue
        depth = len(found)
        if depth > best_depth and found == loc[:depth]:
            best, best_depth = number, depth
    return best


def _split(dotted: str) -> list[str]:
    return [part.strip().strip("\"'") for part in dotted.split(".")]
