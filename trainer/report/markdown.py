"""Blocks as Markdown, every text escaped; a plot as the table of its points."""

from __future__ import annotations

import re
from collections.abc import Sequence

from trainer.report.blocks import Block, Curves, Diagonal, Heading, Intervals, Paragraph, Table, number, plain

SPECIAL = re.compile(r"[\\`*_{}\[\]<>#|~&$^]")
ADDRESS = re.compile(r"://|@(?=[\w-]+\.\w)|(?<=www)\.", re.IGNORECASE)
"""What makes a bare address, of which many renderers make a link."""
AT_THE_START = re.compile(r"^(?:[-+=](?=[-+=\s]|$)|\d+[.)](?=\s|$))")
ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "|": "&#124;"}


def text_of(blocks: Sequence[Block]) -> str:
    """A whole document."""
    return "\n\n".join(_block(block) for block in blocks) + "\n"


def escaped(text: str) -> str:
    """Text that Markdown shows as it is: no heading, list, link, image, table, address or HTML comes of it."""
    out = SPECIAL.sub(lambda found: ENTITIES.get(found[0], f"\\{found[0]}"), plain(text))
    out = ADDRESS.sub(lambda found: "".join(f"&#{ord(letter)};" for letter in found[0]), out)
    return AT_THE_START.sub(lambda found: "".join(f"&#{ord(letter)};" for letter in found[0]), out)


def _block(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"{'#' * level} {escaped(text)}"
        case Paragraph(text):
            return escaped(text)
        case Table(columns, rows, numeric):
            return _table(columns, rows, numeric)
        case Intervals(title, items):
            rows = [(name, number(value), number(low), number(high)) for name, value, low, high in items]
            return _titled(title, ("", "value", "low", "high"), rows, frozenset({1, 2, 3}))
        case Diagonal(title, x_is, y_is, points):
            rows = [(number(x), number(y), number(low), number(high), str(n)) for x, y, low, high, n in points]
            return _titled(title, (x_is, y_is, "low", "high", "rows"), rows, frozenset(range(5)))
        case Curves(title, x_is, y_is, lines):
            rows = [(name, f"{x:g}", f"{y:.4g}") for name, line in lines.items() for x, y in line]
            return _titled(title, ("", x_is, y_is), rows, frozenset({1, 2}))


def _titled(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], numeric: frozenset[int]) -> str:
    return f"{escaped(title)}\n\n{_table(columns, rows, numeric)}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], numeric: frozenset[int]) -> str:
    rule = ["---:" if place in numeric else "---" for place in range(len(columns))]
    lines = [[escaped(cell) for cell in columns], rule, *([escaped(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
