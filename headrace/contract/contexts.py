"""Ids of traces and spans, spelled alike by whoever names one: as OpenTelemetry writes them, in lower case.

An answer's span and the feedback on it come from different programs: one copies a `traceparent` header, another shows
a trace as a UUID. What is in none of these spellings is a name of the emitter's own, and stays as it is, but for what
programs write where there is none.
"""

from __future__ import annotations

import re

from headrace.contract.nothing import named

_PARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?")
_DASHED = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_ZEROS = "0" * 16
# Without an x, as in 0x, and an n, as in undefined.
_SPELLED_IN = b"0123456789abcdefghijklmopqrstuvwyz"


def trace_of(text: str) -> str:
    """A trace's id: 32 hexadecimal digits out of any case, dashes, 0x or a traceparent; "" for zeros alone."""
    # Small letters and digits, as nearly all ids are, are spelled so; a pattern would take longer to say it.
    if not text or (text.islower() and text.isalnum() and "x" not in text and "n" not in text):
        return text
    return _spelled(text, 32)


def span_of(text: str) -> str:
    """A span's id: 16 hexadecimal digits, see `trace_of`."""
    if not text or (text.islower() and text.isalnum() and "x" not in text and "n" not in text):
        return text
    return _spelled(text, 16)


def alike(texts: str) -> bool:
    """Whether ids of traces and spans, one after the other, are all spelled so; where not, they still may be."""
    # Deleting what they are made of takes a fifth of the time that asking for it takes.
    return not texts.encode().translate(None, _SPELLED_IN) and _ZEROS not in texts


def _spelled(text: str, digits: int) -> str:
    folded = text.strip().lower()
    if parent := _PARENT.fullmatch(folded):
        folded = parent[1] if digits == 32 else parent[2]
    elif _DASHED.fullmatch(folded):
        folded = folded.replace("-", "")
    folded = folded.removeprefix("0x")
    if not re.fullmatch(f"[0-9a-f]{{{digits}}}", folded):
        return named(text)
    return folded if folded.strip("0") else ""
