"""The parts of a type's name, as ClickHouse writes it: `Tuple(a UInt8, b Array(String))`."""

from __future__ import annotations

import re
from collections.abc import Iterator

# Quoted, a bracket, a comma, a blank, or a run of anything else.
_PIECE = re.compile(r"""'(?:[^'\\]|\\.|'')*'|`(?:[^`\\]|\\.|``)*`|[(),\s]|[^'`(),\s]+""", re.DOTALL)


def parts(type: str) -> tuple[str, list[str]]:
    """The name before the parentheses, and what stands in them, cut at its commas."""
    name, opened, rest = type.partition("(")
    if not opened:
        return name, []
    inside = rest[: rest.rindex(")")]
    cut, start = [], 0
    for at, piece, depth in _pieces(inside):
        if piece == "," and not depth:
            cut.append(inside[start:at].strip())
            start = at + 1
    last = inside[start:].strip()
    return name, [*cut, last] if cut or last else []


def split_name(argument: str) -> tuple[str, str]:
    """The name of a tuple's element or of a path, without quotes and empty where it has none, and its type."""
    for at, piece, depth in _pieces(argument):
        if piece == " " and not depth:
            return argument[:at].replace("`", ""), argument[at + 1 :].strip()
    return "", argument


def is_setting(argument: str) -> bool:
    """Whether an argument of JSON(…) is none of its typed paths."""
    return argument.startswith("SKIP ") or re.match(r"max_dynamic_\w+\s*=", argument) is not None


def _pieces(text: str) -> Iterator[tuple[int, str, int]]:
    """Where each piece begins, the piece, and how many parentheses are open around it."""
    depth = 0
    for found in _PIECE.finditer(text):
        piece = found.group()
        depth -= piece == ")"
        yield found.start(), piece, depth
        depth += piece == "("
