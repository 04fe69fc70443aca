"""Single values out of attributes, each read totally: a value of the wrong kind costs itself alone, and is told."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from headrace.contract import ids
from headrace.contract.nothing import is_none
from headrace.contract.texts import name_of

OWN_RESPONSE = "chatcmpl-"
"""What the ids of the gateway's own chat completions begin with; the rest is the inference's id."""
OWN_RESPONSES = (OWN_RESPONSE, "cmpl-", "resp_")
"""The same of all its answers."""
MAX_COUNT = 2**31
_YES, _NO = frozenset({"true", "yes", "1", "on"}), frozenset({"false", "no", "0", "off"})


@dataclass(slots=True)
class Attributes:
    """The attributes of one span, event or log record, and what could not be read of them.

    odd: a sentence for each that was left out
    """

    said: Mapping[str, Any]
    odd: list[str] = field(default_factory=list)

    def text(self, *names: str) -> str:
        """The first of these that there is, as text of any length; "" for none."""
        for name in names:
            value = found(self.said, name)
            if value is None or value == "":
                continue
            if isinstance(value, str):
                if not value.isspace():
                    return whole(value)
            elif isinstance(value, int | float):
                return str(value).lower()
            elif value:
                self._leave_out(name, value, "no text")
        return ""

    def name(self, *names: str) -> str:
        """The first of these that there is, as a name within the bound."""
        return name_of(self.text(*names)) if names else ""

    def known_name(self, *names: str) -> str:
        """See name; the first that is not what programs write for none: under it all who do would be one."""
        text = self.name(*names)
        if not text or not is_none(text):
            return text
        return next((text for name in names if (text := self.name(name)) and not is_none(text)), "")

    def number(self, *names: str) -> float:
        """The first of these that there is, a number from 0; 0 for none."""
        for name in names:
            value = found(self.said, name)
            if value is None or value == "":
                continue
            if type(value) is int and value >= 0:
                return value
            number = finite(value)
            if number is not None and number >= 0:
                return number
            self._leave_out(name, value, "no number from 0 on")
        return 0.0

    def count(self, *names: str) -> int:
        """See number; a whole one."""
        number = self.number(*names)
        if number <= MAX_COUNT:
            return int(number)
        self._leave_out(names[0], number, "more than 2^31")
        return 0

    def flag(self, name: str, default: bool, odd: bool) -> bool:
        """Yes or no in any of its spellings; `default` where it is not said, `odd` where it is said otherwise."""
        value = self.said.get(name)
        if value in (None, ""):
            return default
        word = str(value).strip().casefold()
        if word in _YES or word in _NO:
            return word in _YES
        self._leave_out(name, value, "neither yes nor no")
        return odd

    def _leave_out(self, name: str, value: Any, what: str) -> None:
        self.odd.append(f"{name} is {what}: {str(value)[:80]!r}")


def found(said: Mapping[str, Any], name: str) -> Any:
    """An attribute; `a/b` is `b` of the JSON object that `a` has, and of lists their first element is looked into."""
    value = said.get(name)
    if value is not None or "/" not in name:
        # MLflow's values are JSON, texts in quotes among them.
        return _unquoted(value) if type(value) is str and value[:1] == '"' and name.startswith("mlflow.") else value
    outer, _, path = name.partition("/")
    value = said.get(outer)
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    for step in path.split("/"):
        while isinstance(value, list) and value:
            value = value[0]
        value = value.get(step) if isinstance(value, Mapping) else None
    return value if isinstance(value, str | int | float) else None


def _unquoted(text: str) -> str:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, str) else text


def first(said: Mapping[str, Any], names: Iterable[str]) -> str:
    """The first of these attributes that is text, "" for none."""
    for name in names:
        value = found(said, name)
        if isinstance(value, str) and value and not value.isspace():
            return value
    return ""


def finite(value: Any) -> float | None:
    """A number, also as text, None for anything else and for what is not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (OverflowError, ValueError):
        return None
    return number if math.isfinite(number) else None


def whole(text: str) -> str:
    """The text without halves of surrogate pairs, which UTF-8 cannot carry; two that belong together are one again."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def bounded_name(text: str) -> str:
    """A name within the bound, as the contract has it."""
    return name_of(whole(text))


def own_answer(response_id: str) -> UUID | None:
    """The inference that a gateway recorded itself, where the call was to it."""
    prefix = next((prefix for prefix in OWN_RESPONSES if response_id.startswith(prefix)), None)
    return None if prefix is None else id7(response_id.removeprefix(prefix))


def moment_of(nanoseconds: int) -> datetime:
    """A time, UTC, from nanoseconds since 1970."""
    return ids.EPOCH + timedelta(microseconds=nanoseconds // 1000)


def id7(text: str) -> UUID | None:
    """A UUID of version 7, None for any other text."""
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if found.version == 7 else None
