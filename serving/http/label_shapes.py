"""How a label is written for a client that asks for JSON: structured outputs, and tools that it wants called.

no response_format, or type text    the label's text
type json_object                    {"label": text}
type json_schema                    JSON that fits the schema: an object with one property that takes the label
a tool_choice that forces a tool    a call of it, its arguments by the same rule
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from headrace.plan import Task
from serving.http.refusal import Refusal

Writer = Callable[[str, str], Any]
"""From a label's id and its text to the value that says it."""
MAX_DEPTH = 8
MAX_PROPERTIES, MAX_VALUES = 100, 2000
"""Of one object, and of one property: each property may name the same long list, so that a schema of 1 MiB would be
read for minutes. A task has at most 1,000 labels."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What an answer looks like. tool: the function that is called with it; empty: it is the content

    older: it is called by `function_call`, and not among `tool_calls`
    """

    write: Callable[[str, str], str]
    tool: str = ""
    plain: bool = False
    older: bool = False


PLAIN = Shape(lambda label, text: text, plain=True)


def shape_of(wanted: Any, tools: Any, tool_choice: Any, task: Task) -> Shape:
    """The shape that a request asks for.

    wanted: response_format of chat completions, or text.format of responses
    tools, tool_choice: as OpenAI writes them, for either
    Raises Refusal 400 where no label could have that shape.
    """
    if (forced := _forced(tools, tool_choice)) is not None:
        name, schema = forced
        return Shape(_json(_writer(schema, schema, task, f"tools: the parameters of {name}")), tool=name)
    wanted = wanted if isinstance(wanted, dict) else {}
    match wanted.get("type", "text"):
        case "text":
            return PLAIN
        case "json_object":
            return Shape(_json(lambda label, text: {"label": text}))
        case "json_schema":
            held = wanted.get("json_schema")
            schema = (held if isinstance(held, dict) else wanted).get("schema")
            return Shape(_json(_writer(schema, schema, task, "response_format: its schema")))
        case kind:
            raise Refusal(
                400, f"response_format is of type {str(kind)[:40]!r}; a label is text, json_object or json_schema",
                param="response_format",
            )  # fmt: skip


def shape_of_function(functions: Any, choice: Any, task: Task) -> Shape | None:
    """The shape that `functions` and `function_call`, OpenAI's older tools, ask for; None where none is forced."""
    if not isinstance(choice, dict) or not isinstance(functions, list):
        return None
    tools = [{"type": "function", "function": function} for function in functions]
    shape = shape_of(None, tools, choice, task)
    return replace(shape, older=True) if shape.tool else None


def _json(write: Writer) -> Callable[[str, str], str]:
    return lambda label, text: json.dumps(write(label, text), ensure_ascii=False)


def _forced(tools: Any, choice: Any) -> tuple[str, Any] | None:
    """The name and the parameters of the function that has to be called; None where none has to."""
    functions = _names(tools)
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        allowed = choice.get("allowed_tools", choice)
        names = _names(allowed.get("tools")) if isinstance(allowed, dict) else {}
        functions = {name: schema for name, schema in functions.items() if name in names}
        choice = allowed.get("mode") if isinstance(allowed, dict) else None
    if isinstance(choice, dict):
        named = choice.get("function", choice)
        name = named.get("name") if isinstance(named, dict) else None
        if not isinstance(name, str):
            return None
        if name not in functions:
            raise Refusal(400, f"tool_choice names {name[:60]!r}, which is none of tools", param="tool_choice")
        return name, functions[name]
    if choice == "required" and len(functions) == 1:
        return next(iter(functions.items()))
    if choice == "required":
        raise Refusal(
            400, "tool_choice: a task answers with one label, so only one function can be required", param="tool_choice"
        )
    return None


def _names(tools: Any) -> dict[str, Any]:
    """The parameters of functions by their names."""
    functions = {}
    for tool in tools if isinstance(tools, list) else ():
        function = tool.get("function", tool) if isinstance(tool, dict) and tool.get("type") == "function" else None
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            functions[function["name"]] = function.get("parameters")
    return functions


def _writer(schema: Any, root: Any, task: Task, where: str, depth: int = 0) -> Writer:
    """Raises Refusal 400 that says what does not fit."""
    schema = _resolved(schema, root)
    if depth > MAX_DEPTH or not isinstance(schema, dict):
        raise _misfit(where, "is no object's")
    if "string" in _types(schema):
        return _text(schema, task, where)
    if "object" not in _types(schema):
        raise _misfit(where, "takes no text")
    properties = schema.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    required = schema.get("required")
    needed = (
        [name for name in required if isinstance(name, str) and name in properties]
        if isinstance(required, list)
        else []
    )
    names = needed or list(properties)
    if len(names) > MAX_PROPERTIES:
        raise _misfit(where, f"has {len(names)} properties")
    empty = [name for name in names if "null" in _types(_resolved(properties[name], root))]
    holders = [name for name in names if name not in empty] or names
    if len(holders) != 1:
        raise _misfit(where, f"has {', '.join(holders) or 'no properties'}, of which one has to take the label")
    (holder,) = holders
    inner = _writer(properties[holder], root, task, f"{where}, {holder}", depth + 1)
    nothing = {name: None for name in empty if name != holder and name in needed}
    return lambda label, text: {holder: inner(label, text), **nothing}


def _text(schema: Mapping[str, Any], task: Task, where: str) -> Writer:
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if not isinstance(values, list):
        return lambda label, text: text
    if len(values) > MAX_VALUES:
        raise _misfit(where, f"has {len(values)} values")
    said = {task.id_of(value): value for value in values if isinstance(value, str)}
    if missing := [text for label, text in task.names.items() if label not in said]:
        raise _misfit(where, f"has no value for {', '.join(missing)}")

    def write(label: str, text: str) -> Any:
        if label not in said:
            why = f"{where} has no value for {text}, a label that the version knows and the plan no longer has"
            raise Refusal(502, why, kind="upstream_error")
        return said[label]

    return write


def _resolved(schema: Any, root: Any, depth: int = 0) -> Any:
    """The schema without references, and of alternatives the one that is not null."""
    for _ in range(MAX_DEPTH):
        if not isinstance(schema, dict):
            return schema
        if isinstance(path := schema.get("$ref"), str):
            found = root
            for part in path.removeprefix("#").strip("/").split("/"):
                found = found.get(part) if isinstance(found, dict) else None
            schema = found
            continue
        options = next(
            (schema[name] for name in ("anyOf", "oneOf", "allOf") if isinstance(schema.get(name), list)), None
        )
        if options is None or len(options) > MAX_VALUES:
            return schema
        rest = [one for one in options if not (isinstance(one, dict) and one.get("type") == "null")]
        if depth > MAX_DEPTH:
            return None
        inner = _resolved(rest[0], root, depth + 1) if len(rest) == 1 else _enumerated(rest)
        if not isinstance(inner, dict):
            return schema
        return {**inner, "type": [*_types(inner), "null"]} if len(rest) < len(options) else inner
    return None


def _enumerated(options: list[Any]) -> dict[str, Any] | None:
    """Alternatives that are texts, each by itself, as one enumeration of them; None for any others."""
    values: list[Any] = []
    for option in options:
        said = option if isinstance(option, dict) else {}
        values += [said["const"]] if "const" in said else said["enum"] if isinstance(said.get("enum"), list) else [None]
    return {"type": "string", "enum": values} if all(isinstance(value, str) for value in values) else None


def _types(schema: Any) -> list[str]:
    """Those that a schema takes, as far as it says."""
    if not isinstance(schema, dict):
        return []
    said = schema.get("type")
    if isinstance(said, list):
        return [one for one in said if isinstance(one, str)]
    if isinstance(said, str):
        return [said]
    if "enum" in schema or "const" in schema:
        return ["string"]
    return ["object"] if "properties" in schema else []


def _misfit(where: str, why: str) -> Refusal:
    return Refusal(
        400,
        f"{where} {why}; a task answers with one label: ask for an object with one property of type string",
        param="tools" if where.startswith("tools") else "response_format",
    )
