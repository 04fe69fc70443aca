"""Scores as classifiers give them: what labels and numbers they are, and what is a probability but for a hair."""

from __future__ import annotations

from typing import Any

from headrace.contract.plain import plain

HAIR = 0.001
"""A probability so little above 1 or below 0 is 1 or 0: what adding up a softmax in float32 or less may give."""

_SCORE_NAMES = ("score", "probability", "prob", "confidence")


def clipped(value: Any) -> Any:
    """A probability that is above 1 or below 0 by no more than HAIR is 1 or 0."""
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return value
    if 1 < found <= 1 + HAIR:
        return 1.0
    return 0.0 if -HAIR <= found < 0 else value


def pairs_of(value: Any) -> list[tuple[Any, Any]] | None:
    """Labels and scores: an object, or a classifier's list of {"label": …, "score": …} or of pairs; else None."""
    value = plain(value)
    if isinstance(value, dict):
        labels, scores = plain(value.get("labels")), plain(value.get("scores"))
        if isinstance(labels, list) and isinstance(scores, list):
            return list(zip(map(str, labels), scores, strict=True)) if all(map(_is_name, labels)) else None
        one = _pair(value)
        return [one] if one else list(value.items())
    if not isinstance(value, list):
        return None
    if len(value) == 1 and isinstance(value[0], list) and value[0] and not isinstance(value[0][0], str):
        # One text's list in the list of a batch.
        value = value[0]
    pairs = [_pair(plain(each)) for each in value]
    found = [pair for pair in pairs if pair is not None]
    named = {str(label) for label, _ in found}
    return found if len(found) == len(named) == len(value) else None


def _pair(value: Any) -> tuple[Any, Any] | None:
    if isinstance(value, dict) and isinstance(value.get("label"), str):
        scores = [value[name] for name in _SCORE_NAMES if name in value]
        return (value["label"], scores[0]) if len(scores) == 1 and len(value) == 2 else None
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and not isinstance(value[1], list):
        return value[0], value[1]
    return None


def _is_name(value: Any) -> bool:
    return isinstance(value, str | int)
