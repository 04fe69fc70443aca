"""Python's repr of lists and dicts: what pandas writes into the cells of a CSV, and some programs into attributes.

[{'role': 'user', 'content': 'Why?'}]; an array of numpy has line ends where a list has commas.
"""

from __future__ import annotations

import ast
import re
from typing import Any

MAX_REPR, MAX_COMMAS = 65_536, 4_096
"""Characters and commas of a repr: the tree that Python makes of a literal takes a hundred times as many bytes."""

# A repr has no line end within a text.
_BETWEEN = re.compile(r"([}\])'\"])[ \t]*\r?\n[ \t]*(?=[{\[('\"])")


def literal(text: str) -> Any:
    """The value of a repr. Raises ValueError where it is none, or too long."""
    if len(text) > MAX_REPR or not text.startswith(("[", "{")):
        raise ValueError("it is no repr of a list or a dict")
    listed = _BETWEEN.sub(r"\1, ", text) if "\n" in text and text.startswith("[") else text
    if listed.count(",") > MAX_COMMAS:
        raise ValueError("it is too long a repr")
    try:
        return ast.literal_eval(listed)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError(str(error)) from None
