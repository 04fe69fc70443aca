"""What a feedback's number means: a thumb, a rating, a resolution, each as clients of other systems write it.

    thumb         1 up, -1 down; 0 and false are down, true is up, and so are the words and signs for them
    rating        1 to 5; of another range where it is declared: `best` and `worst` beside the value (bestRating and
                  worstRating, as schema.org calls them), or "9/10" as the value; it is stored as its place from 1 to 5
    resolution    1 solved, 0 not; -1 and false are not, true is

What was said, where it is not what is stored, is kept in `extra.said`. Any other number is refused by name, and so is
a correction or comment that says nothing: as a later revision it would take the place of what was said before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

THUMB = "a thumb is 1 (up) or -1 (down; 0 and false are read as down)"
RATING = "a rating is 1 to 5; for another range send `best` beside it, and `worst` where that is not 1"
CORRECTION = "a correction comes with `label`, the right one"
COMMENT = "a comment comes with `comment`, its text, or an evaluator's `value`"
RESOLUTION = "a resolution is 1 (solved) or 0 (not)"
BEST, WORST = ("best", "bestRating", "best_rating"), ("worst", "worstRating", "worst_rating")
RANGE = frozenset(BEST + WORST)
"""Names by which an event declares the range of its rating."""

_UP = frozenset(
    {"1", "+1", "up", "thumbs_up", "thumb_up", "thumbsup", "upvote", "like", "liked",
     "yes", "y", "true", "t", "good", "positive", "helpful", "correct", "right", "pass", "passed", "👍", "✅", "✔"}
)  # fmt: skip
_DOWN = frozenset(
    {"0", "-1", "down", "thumbs_down", "thumb_down", "thumbsdown", "downvote", "dislike", "disliked",
     "no", "n", "false", "f", "bad", "negative", "unhelpful", "not_helpful", "incorrect", "not_correct", "wrong",
     "fail", "failed", "👎", "❌", "✘"}
)  # fmt: skip
_SOLVED = frozenset({"1", "true", "t", "yes", "y", "solved", "resolved", "✅", "✔"})
_UNSOLVED = frozenset(
    {"0", "-1", "false", "f", "no", "n", "unsolved", "unresolved", "not_solved", "not_resolved", "❌", "✘"}
)
# Tones of skin, and that a sign is shown as a picture.
_TONE = re.compile("[\U0001f3fb-\U0001f3ff\ufe0f]")
_OF = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*(?:/|out of)\s*(\d+(?:\.\d+)?)\s*")
_WORDS = {"thumb": (_UP, _DOWN, 1.0, -1.0, THUMB), "resolution": (_SOLVED, _UNSOLVED, 1.0, 0.0, RESOLUTION)}


def check(signal: str, value: float | None, extra: Any) -> None:
    """Whether a value is one that its signal knows, and stands on the signal's own range. Raises ValueError."""
    if signal == "thumb":
        if value is not None and value != 1 and value != -1:
            raise ValueError(THUMB)
    elif signal == "rating":
        if value is not None and not 1 <= value <= 5:
            raise ValueError(RATING)
        if type(extra) is dict and not RANGE.isdisjoint(extra) and range_in(extra):
            raise ValueError(RATING)
    elif signal == "resolution" and value is not None and value != 0 and value != 1:
        raise ValueError(RESOLUTION)


def check_said(signal: str, label: str) -> None:
    """Whether a correction says a label. Raises ValueError."""
    if signal == "correction" and not label.strip():
        raise ValueError(CORRECTION)


def range_beside(fields: Mapping[str, Any]) -> frozenset[str]:
    """The names by which an event with these fields may declare its rating's range; none for any other signal."""
    signal = fields.get("signal")
    return RANGE if isinstance(signal, str) and signal.strip().casefold() == "rating" else frozenset()


def range_in(extra: Mapping[str, Any]) -> dict[str, Any]:
    """What `extra` says of a rating's range: numbers alone; anything else has its own reasons to be called so."""
    return {name: extra[name] for name in RANGE if name in extra and _number(extra[name]) is not None}


def meant(signal: str, value: Any, declared: Mapping[str, Any]) -> float:
    """The number that a thumb, rating or resolution is stored as.

    declared: what the event says of the range, by names of RANGE
    Raises ValueError with a sentence.
    """
    if signal == "rating":
        return _rated(value, declared)
    up, down, yes, no, says = _WORDS[signal]
    word = "" if isinstance(value, dict | list) else str(value)
    if isinstance(value, float) and value.is_integer():
        word = str(int(value))
    word = _TONE.sub("", word).strip().casefold().removesuffix(".0").replace(" ", "_")
    word = word[:1] + word[1:].replace("-", "_")  # a sign before a number stays
    if word in up:
        return yes
    if word in down:
        return no
    raise ValueError(says)


def _rated(value: Any, declared: Mapping[str, Any]) -> float:
    best, worst = _first(declared, BEST), _first(declared, WORST)
    if isinstance(value, str) and (parts := _OF.fullmatch(value)):
        if best is not None and float(parts[2]) != best:
            raise ValueError(RATING)
        value, best = parts[1], float(parts[2])
    said = _number(value)
    if said is None:
        raise ValueError(RATING)
    best = 5.0 if best is None else best
    # schema.org's default; a rating up to 1 is a share.
    worst = (1.0 if best > 1 else 0.0) if worst is None else worst
    if best == worst or not min(best, worst) <= said <= max(best, worst):
        raise ValueError(RATING if best == 5 and worst == 1 else f"a rating is {worst:g} to {best:g} here, as declared")
    return said if (worst, best) == (1.0, 5.0) else round(1 + 4 * (said - worst) / (best - worst), 6)


def _first(declared: Mapping[str, Any], names: tuple[str, ...]) -> float | None:
    for name in names:
        if declared.get(name) is not None:
            found = _number(declared[name])
            if found is None:
                raise ValueError(f"`{name}` is a number")
            return found
    return None


def _number(value: Any) -> float | None:
    """None for what is no finite number; a yes or no is none."""
    if isinstance(value, bool):
        return None
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if -1e9 <= found <= 1e9 else None
