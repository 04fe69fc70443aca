"""A cell becomes a field's value: what is empty by another name, ids that became numbers, texts within structures."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from headrace.errors import EventError
from headrace.importing.chats import said_in
from headrace.importing.numbers import Numbers

TEXTS = frozenset({"input", "output", "comment"})
REFERENCES = frozenset({"inference_id", "feedback_id", "response_id", "span_id", "trace_id", "session_id", "user_ref"})
NOT_COMPUTED = (
    "the formula has no computed value: open the workbook in Excel or LibreOffice and save it, then import it"
)
# What programs write where there is nothing.
_NOTHING = frozenset({"null", "(null)", "<null>", "\\n", "n/a", "#n/a", "<na>", "nan", "-", "--", "–", "—"})
_NOTHING_IN_NUMBERS = _NOTHING | {"none", "nil", "na", "n.a.", "k.a.", "#value!", "#ref!", "#div/0!", "#name?", "?"}
# What stands in no name that somebody wrote.
_CONTROLS = re.compile(r"[\0-\x08\x0e-\x1f\x7f]")
_FLOAT_ID = re.compile(r"\d{1,18}\.0+")
# A formula that keeps a spreadsheet from reading a text as a number.
_FORMULA = re.compile(r'\s*=\s*"([^"]*)"\s*')
# With a sign or a fraction: 7e12 is an id.
_ROUNDED_ID = re.compile(r"\d(?:[.,]\d+[eE]\+?|[eE]\+)\d{1,3}")


@dataclass(frozen=True, slots=True)
class OutOfRange:
    """Stands for a value that Python cannot hold, as a time of the year 20000."""

    what: str


@dataclass(frozen=True, slots=True)
class NotComputed:
    """Stands for the value of a formula that no program has computed."""

    def __str__(self) -> str:
        return ""


class Coarse(float):
    """A number that its column could not tell from its neighbours, as 2**24 + 1 among floats of 32 bits."""


def empty(name: str, cell: Any) -> bool:
    """Whether a cell says nothing for this field."""
    if cell is None or (isinstance(cell, float) and cell != cell):
        return True
    if not isinstance(cell, str):
        return False
    text = cell.strip(" \t\r\n\0\u00a0\u200b\ufeff")
    if not text:
        return True
    if name in TEXTS:
        return text in ("NULL", "\\N")
    if name == "label":
        # A label may be called none.
        return text.casefold() in _NOTHING
    return text.casefold() in _NOTHING_IN_NUMBERS


def plain(name: str, cell: Any) -> Any:
    """A cell as JSON has it. Raises EventError where it cannot be read."""
    if isinstance(cell, bytes | bytearray | memoryview):
        return _decoded(name, bytes(cell))
    if isinstance(cell, OutOfRange):
        raise EventError(f"{name}: {cell.what} cannot be read: it is out of range, or damaged")
    if isinstance(cell, NotComputed):
        raise EventError(f"{name}: {NOT_COMPUTED}")
    if isinstance(cell, str) and name not in TEXTS and (formula := _FORMULA.fullmatch(cell)):
        return formula[1]
    if isinstance(cell, Decimal):
        return (
            int(cell) if cell.is_finite() and cell == cell.to_integral_value() and abs(cell) < 10**30 else float(cell)
        )
    return cell


def text_of(name: str, cell: Any) -> str:
    """What a field of text holds. Raises EventError where an id was lost on its way."""
    if isinstance(cell, str):
        return _name(name, cell) if name not in TEXTS else said_in(name, cell) or cell
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, int | float | UUID):
        if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e18:
            if isinstance(cell, Coarse) or abs(cell) >= 2**53:
                raise EventError(
                    f"{name or 'the id'}: the number {cell:.0f} was rounded before it came here; export it as text"
                )
            return str(int(cell))
        return str(cell)
    if isinstance(cell, datetime | date | time | timedelta):
        return str(cell) if isinstance(cell, timedelta) else cell.isoformat()
    if isinstance(cell, list | Mapping):
        return said_in(name, cell) or json.dumps(cell, ensure_ascii=False, default=str)
    return str(cell)


def number_of(name: str, cell: Any, numbers: Numbers) -> Any:
    """What a field of a number holds; a text that is none stays, for the event to refuse."""
    if isinstance(cell, str):
        return numbers.read(cell, name)
    if isinstance(cell, timedelta):
        return cell.total_seconds() * 1000 if name.endswith("_ms") else str(cell)
    return cell


def _name(name: str, cell: str) -> str:
    text = " ".join(cell.replace("\u00a0", " ").strip().split(" ")).strip("\0")
    if name in REFERENCES or name == "":
        if text.startswith("'") and not text.endswith("'"):
            # By which a spreadsheet is told that a text follows.
            text = text[1:]
        if _FLOAT_ID.fullmatch(text):
            # An integer that stood in a column with gaps, as pandas writes it.
            return text.partition(".")[0]
        if _ROUNDED_ID.fullmatch(text) and not text.isdigit():
            raise EventError(f"{name or 'the id'}: {text!r} was rounded by a spreadsheet; export the column as text")
    return text


def _decoded(name: str, cell: bytes) -> str:
    try:
        text = cell.decode()
    except UnicodeDecodeError:
        text = ""
    # A UUID of small numbers, or of a counter, is UTF-8 by chance; zeros behind a text fill its column up.
    by_chance = name in REFERENCES | {"", "the id"} and _CONTROLS.search(text.rstrip("\0")) is not None
    if len(cell) == 16 and name not in TEXTS and (not text or by_chance):
        return str(UUID(bytes=cell))
    if cell and not text:
        raise EventError(f"{name}: it holds bytes that are not UTF-8, {cell[:20]!r}")
    return text
