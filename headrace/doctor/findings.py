"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"  # works, and will not for long, or not for everybody
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about one thing.

    advice: what to do about it, empty where there is nothing to do
    """

    about: str
    level: Level
    text: str
    advice: str = ""


def ok(about: str, text: str) -> Finding:
    """All is well."""
    return Finding(about, Level.OK, text)


def warning(about: str, text: str, advice: str = "") -> Finding:
    """See Level.WARNING."""
    return Finding(about, Level.WARNING, text, advice)


def problem(about: str, text: str, advice: str = "") -> Finding:
    """Something does not work."""
    return Finding(about, Level.PROBLEM, text, advice)
