"""From a row to an event. The same row gives the same event, whichever file and whichever run it comes from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from collections.abc import Mapping as Cells
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from headrace.contract import ids
from headrace.contract.events import Event, Feedback, Inference
from headrace.contract.literals import literal
from headrace.errors import EventError
from headrace.importing.headers import found, missing
from headrace.importing.nested import value_at
from headrace.importing.numbers import Numbers
from headrace.importing.times import Times
from headrace.importing.values import TEXTS, empty, number_of, plain, text_of

KINDS: dict[str, type[Inference] | type[Feedback]] = {"inferences": Inference, "feedback": Feedback}
_REFERENCES = ("inference_id", "response_id", "span_id", "trace_id", "session_id")
_NOT_MAPPED = frozenset({"emitter", "key_id", "schema_version"})
_OBJECTS = frozenset({"scores", "extra"})
_STRUCTURED = TEXTS | {"occurred_at"}
_FLAGS = frozenset({"consent", "audited"})


def _is_number(info: FieldInfo) -> bool:
    kinds = getattr(info.annotation, "__args__", (info.annotation,))
    return getattr(info.annotation, "__origin__", None) is not dict and any(
        kind in (int, float) or getattr(kind, "__origin__", None) in (int, float) for kind in kinds
    )


RANGE = frozenset({"best", "worst"})
"""Of a rating: no fields of feedback, and said beside its value (headrace/contract/meanings.py)."""
NUMBERS = {
    kind: frozenset(name for name, info in model.model_fields.items() if _is_number(info))
    | (RANGE if kind == "feedback" else frozenset())
    for kind, model in KINDS.items()
}


@dataclass(frozen=True, slots=True)
class Mapping:
    """What a file's columns mean.

    kind: inferences or feedback
    columns: column to field; a column that has a field's name means it without being named here
    constants: fields that are the same in every row
    words: field to {text in the file: what it stands for}
    id_column: the column that identifies a row in the system that it comes from; "" where the row's content does
    """

    kind: str
    columns: dict[str, str]
    constants: dict[str, Any] = field(default_factory=dict)
    words: dict[str, dict[str, str]] = field(default_factory=dict)
    id_column: str = ""
    times: Times = field(default_factory=Times)
    numbers: Numbers = field(default_factory=Numbers)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that the caller named."""
        return tuple(dict.fromkeys([*self.columns, *([self.id_column] if self.id_column else [])]))

    @property
    def names_ids(self) -> bool:
        """Whether a column gives the ids of events."""
        return bool(self.id_column) or KINDS[self.kind].id_field in self.columns.values()

    def completed(self, file: str, there: Sequence[str]) -> Mapping:
        """With the columns that name fields themselves. Raises EventError that names what does not fit the file."""
        model, fields = KINDS[self.kind], _fields(self.kind)
        known = {*fields, *(NUMBERS[self.kind] & RANGE)}
        named: dict[str, str] = {}
        for column, name in self.columns.items():
            if name not in known:
                raise _unknown(f"--map {column}={name}", model, name, known)
            there_is = found(column, there)
            if there_is is None:
                raise EventError(f"--map {column}={name}: {file} {missing(column, there)}")
            named[there_is] = name
        for option, names in (("--set", self.constants), ("--word", self.words)):
            for name in names:
                if name not in known:
                    raise _unknown(f"{option} {name}", model, name, known)
        id_column = found(self.id_column, there) if self.id_column else ""
        if id_column is None:
            raise EventError(f"--id {self.id_column}: {file} {missing(self.id_column, there)}")
        self._check_values()
        taken = set(named.values()) | set(self.constants)
        repeated = getattr(there, "repeated", {})
        for name in fields:
            if name in repeated and name not in taken:
                raise EventError(f"{name}: {file} {missing(name, there)}, in --map")
        own = {name: name for name in there if name in fields and name not in taken and name not in named}
        columns = named | own
        self._check_complete(set(columns.values()) | set(self.constants))
        return replace(self, columns=columns, id_column=id_column)

    def event(self, cells: Cells[str, Any]) -> Event:
        """The row's event. Raises EventError that says what is wrong with the row."""
        model = KINDS[self.kind]
        fields = {name: _object(name, text) if name in _OBJECTS else text for name, text in self.constants.items()}
        # An id of the content is that of the number as it is written, whatever it is read as.
        written: dict[str, str] = {}
        for column, name in self.columns.items():
            cell = value_at(cells, column)
            if (
                column == name
                and name not in _STRUCTURED
                and isinstance(cell, list if name in _OBJECTS else list | dict)
            ):
                # Exports call other things so, as Langfuse its evaluations.
                continue
            value = self._value(name, cell)
            if value is not None:
                fields[name] = value
                if name in NUMBERS[self.kind] and isinstance(cell, str) and name not in self.words:
                    written[name] = cell.strip()
        if "occurred_at" not in fields:
            raise EventError("the row has no time: the column of occurred_at is empty")
        at = self.times.read(fields["occurred_at"])
        fields["occurred_at"] = at.isoformat()
        foreign = self._foreign(cells)
        fields.setdefault(model.id_field, str(self._id(at, foreign, fields | written)))
        if foreign and model is Inference:
            fields.setdefault("response_id", foreign)
        if foreign and model is Feedback:
            fields["extra"] = {**fields.get("extra", {}), "foreign_id": foreign}
        return model.strict(fields)

    def _id(self, at: datetime, foreign: str, fields: dict[str, Any]) -> UUID:
        parts = ("import", self.kind, fields.get("tenant", ""))
        if foreign:
            # One row of a system may be feedback by several signals: a ticket's solver and its rating.
            return ids.derived(at, *parts, fields.get("source", ""), fields.get("signal", ""), foreign)
        return ids.derived(at, *parts, json.dumps(fields, sort_keys=True, default=str))

    def _foreign(self, cells: Cells[str, Any]) -> str:
        if not self.id_column:
            return ""
        cell = plain("the id", value_at(cells, self.id_column))
        text = "" if empty("session_id", cell) else text_of("", cell)
        if not text:
            raise EventError(f"the row has no id: its column {self.id_column} is empty")
        return text

    def _value(self, name: str, cell: Any) -> Any:
        """None where the cell says nothing. Raises EventError."""
        cell = plain(name, cell)
        words = self.words.get(name)
        if words is not None and cell is not None:
            text = cell.strip() if isinstance(cell, str) else text_of(name, cell)
            for said in (text, " ".join(text.split())):
                if said in words:
                    return words[said] or None
        if empty(name, cell):
            return None
        if words is not None and "*" in words:
            return words["*"]
        if name == "occurred_at":
            return cell
        if name in _OBJECTS:
            return _object(name, cell)
        if name in NUMBERS[self.kind]:
            return number_of(name, cell, self.numbers)
        return cell if name in _FLAGS and not isinstance(cell, str) else text_of(name, cell)

    def _check_values(self) -> None:
        """What every row would be refused for, before a row is read."""
        model = KINDS[self.kind]
        given = [(f"--set {name}={text}", name, text) for name, text in self.constants.items() if name != "occurred_at"]
        for name, words in self.words.items():
            given += [(f"--word {name}:{word}={text}", name, text) for word, text in words.items() if text]
        for option, name, text in given:
            if name in _OBJECTS and isinstance(text, str):
                _object(option, text)
                continue
            info = model.model_fields.get(name)
            try:
                kind: Any = Annotated[info.annotation, info] if info else float
                TypeAdapter(kind).validate_python(text)
            except ValidationError as error:
                first = error.errors(include_url=False, include_context=False)[0]["msg"]
                raise EventError(f"{option}: {first.removeprefix('Value error, ')}") from None
        if "occurred_at" in self.constants:
            self.times.read(self.constants["occurred_at"])

    def _check_complete(self, given: set[str]) -> None:
        model = KINDS[self.kind]
        needed = [name for name, one in model.model_fields.items() if one.is_required() and name != model.id_field]
        for name in needed:
            if name not in given:
                raise EventError(f"{model.__name__}.{name} is missing: --map COLUMN={name} or --set {name}=VALUE")
        if model is Feedback and not given & set(_REFERENCES):
            raise EventError(
                "feedback names the answer that it is about: --map COLUMN=FIELD with one of " + ", ".join(_REFERENCES)
            )

    def digest(self) -> str:
        """Names what the columns mean: another mapping is another import."""
        # Without what the columns show: a file that grows shows more, and its import goes on.
        times = f"Times(zone={self.times.zone!r}, format={self.times.format!r})"
        said = [self.kind, self.columns, self.constants, self.words, self.id_column, times]
        return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()


def _object(name: str, cell: Any) -> Any:
    if not isinstance(cell, str):
        return cell
    try:
        return json.loads(cell)
    except (ValueError, RecursionError) as error:
        try:
            return literal(cell.strip())
        except ValueError:
            raise EventError(f"{name} is not JSON: {error}") from None


def _fields(kind: str) -> list[str]:
    return [name for name in KINDS[kind].model_fields if name not in _NOT_MAPPED]


def _unknown(option: str, model: type[Event], name: str, fields: Iterable[str]) -> EventError:
    return EventError(f"{option}: {model.__name__} has no field {name!r}; it has {', '.join(sorted(fields))}")
