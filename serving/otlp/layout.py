"""Where the spans or log records of an export are in its body, the same for both encodings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from headrace.errors import HeadraceError


class Malformed(HeadraceError):
    """The body, or a span or log record of it, is not what its content type says."""


class TooMany(HeadraceError):
    """More spans or log records in one body than may be."""


class Slice(NamedTuple):
    """Bytes of the body."""

    start: int
    end: int


@dataclass(slots=True)
class Scope:
    """heads: of an instrumentation scope, all of which together say what it is; elements: its spans or log records"""

    heads: list[Slice] = field(default_factory=list)
    elements: list[Slice] = field(default_factory=list)


@dataclass(slots=True)
class Outer:
    """heads: of a resource, likewise"""

    heads: list[Slice] = field(default_factory=list)
    scopes: list[Scope] = field(default_factory=list)


@dataclass(slots=True)
class Export:
    """most: how many parts it may have, of any level: an empty one takes two bytes of a body and hundreds here"""

    most: int
    outers: list[Outer] = field(default_factory=list)
    parts: int = 0

    def count(self) -> None:
        """One part more. Raises TooMany."""
        self.parts += 1
        if self.parts > self.most:
            raise TooMany(f"the body holds more than {self.most} spans or log records; send smaller batches")
