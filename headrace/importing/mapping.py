"""From a row to an event. The same row gives the same event, whichever file and whichever run it comes from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from collections.abc import Mapping as Cells
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from headrace.contract import ids
from headrace.contract.events import Event, Feedback, Inference
from headrace.errors import EventError
from headrace.importing.times import Times

KINDS: dict[str, type[Inference] | type[Feedback]] = {"inferences": Inference, "feedback": Feedback}
_REFERENCES = ("inference_id", "response_id", "span_id", "trace_id", "session_id")
_NOT_MAPPED = frozenset({"emitter", "key_id", "schema_version"})


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

    def completed(self, file: str, there: Iterable[str]) -> Mapping:
        """With the columns that name fields themselves. Raises EventError that names what does not fit the file."""
        found = tuple(there)
        model, fields = KINDS[self.kind], _fields(self.kind)
        for column, name in self.columns.items():
            if column not in found:
                raise EventError(f"--map {column}={name}: {file} has no column {column!r}; it has {', '.join(found)}")
            if name not in fields:
                raise _unknown(f"--map {column}={name}", model, name, fields)
        for option, names in (("--set", self.constants), ("--word", self.words)):
            for name in names:
                if name not in fields:
                    raise _unknown(f"{option} {name}", model, name, fields)
        if self.id_column and self.id_column not in found:
            raise EventError(f"--id {self.id_column}: {file} has no column of that name; it has {', '.join(found)}")
        taken = set(self.columns.values()) | set(self.constants)
        own = {name: name for name in found if name in fields and name not in taken and name not in self.columns}
        columns = self.columns | own
        given = set(columns.values()) | set(self.constants)
        self._check_complete(given)
        return Mapping(self.kind, columns, self.constants, self.words, self.id_column, self.times)

    def event(self, cells: Cells[str, Any]) -> Event:
        """The row's event. Raises EventError that says what is wrong with the row."""
        model = KINDS[self.kind]
        fields = dict(self.constants)
        for column, name in self.columns.items():
            value = self._value(name, cells.get(column))
            if value is not None:
                fields[name] = value
        if "occurred_at" not in fields:
            raise EventError("the row has no time: the column of occurred_at is empty")
        at = self.times.read(fields["occurred_at"])
        fields["occurred_at"] = at.isoformat()
        foreign = self._foreign(cells)
        fields.setdefault(model.id_field, str(self._id(at, foreign, fields)))
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
        value = cells.get(self.id_column)
        if value is None or str(value).strip() == "":
            raise EventError(f"the row has no id: its column {self.id_column} is empty")
        return str(value).strip()

    def _value(self, name: str, cell: Any) -> Any:
        """None where the cell says nothing."""
        if isinstance(cell, str):
            cell = cell.strip() if name not in ("input", "output", "comment") else cell
            if cell.strip() == "":
                return None
        words = self.words.get(name)
        if words is not None and cell is not None:
            if str(cell) in words:
                return words[str(cell)]
            if "*" in words:
                return words["*"]
        if name in ("scores", "extra") and isinstance(cell, str):
            try:
                return json.loads(cell)
            except (ValueError, RecursionError) as error:
                raise EventError(f"{name} is not JSON: {error}") from None
        model_field = KINDS[self.kind].model_fields[name]
        if model_field.annotation is str and cell is not None and not isinstance(cell, str):
            # A number in JSON or Parquet where a name is meant: a ticket number, a session.
            return str(cell)
        return cell

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
        said = [self.kind, self.columns, self.constants, self.words, self.id_column, str(self.times)]
        return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()


def _fields(kind: str) -> list[str]:
    return [name for name in KINDS[kind].model_fields if name not in _NOT_MAPPED]


def _unknown(option: str, model: type[Event], name: str, fields: list[str]) -> EventError:
    return EventError(f"{option}: {model.__name__} has no field {name!r}; it has {', '.join(sorted(fields))}")
