"""A time as people, spreadsheets and programs write it, taken apart; what its parts mean where they mean one thing."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import NamedTuple

from headrace.importing.date_words import DAYS, FILL, MONTH, folded, in_digits

DAY_FIRST, MONTH_FIRST, YEAR_FIRST = "day first", "month first", "year first"
_CLOCK = re.compile(
    r"(?:(?<=\d{4}:)|(?<![\d+:]))(\d{1,2})\s?[:h]\s?(\d{2})(?:\s?[:m]\s?(\d{2})(?:[.,:](\d{1,9})\d*)?)?(?!\d)(?:\s?([ap])\.?\s?m\b\.?)?"
    r"|(?<![\d+:])(\d{1,2})\s?([ap])\.?\s?m\b\.?",
    re.IGNORECASE,
)
# Oracle, Denmark, Finland and Italy have points between hours, minutes and seconds.
_POINTS = re.compile(
    r"(?:(?<=\d\s)|(?<=kl\s)|(?<=kl\.\s)|(?<=klo\s))(\d{1,2})\.(\d{2})(?:\.(\d{2})(\.\d{1,9})?)?(?=\s*(?:[ap]\.?m\b|$))",
    re.IGNORECASE,
)
_YEAR_FIRST = re.compile(r"(\d{4})([-/._ ])(\d{1,2})\2(\d{1,2})")
_YEAR_LAST = re.compile(r"(\d{1,2})([-/.])\s?(\d{1,2})\2\s?(\d{4}|\d{2})")
_ORDINAL = re.compile(r"(\d{1,2})(?:st|nd|rd|th|er|º|ª)", re.IGNORECASE)


class Written(NamedTuple):
    """moments: the local time by each order of day and month that it can have; zone: what stands there of a zone"""

    moments: dict[str, datetime]
    zone: str = ""


def taken_apart(text: str) -> Written:
    """Raises ValueError that says which part was not understood."""
    text, half = in_digits(text)
    text = _POINTS.sub(lambda at: ":".join(filter(None, at.groups()[:3])) + (at[4] or ""), text)
    text, clock = _without_clock(text, half)
    words, zone = _words(text)
    date, year = " ".join(words), 0
    moments: dict[str, tuple[int, int, int]] = {}
    if found := _YEAR_FIRST.fullmatch(date):
        moments = {"": (int(found[1]), int(found[3]), int(found[4]))}
    elif found := _YEAR_LAST.fullmatch(date):
        first, second, year = int(found[1]), int(found[3]), int(found[4])
        short = len(found[4]) == 2
        year += (2000 if year < 69 else 1900) if short else 0
        moments = {DAY_FIRST: (year, second, first)}
        if found[2] != ".":
            moments[MONTH_FIRST] = (year, first, second)
            if short:
                moments[YEAR_FIRST] = (2000 + first, second, int(found[4]))
    else:
        moments = {"": _with_month(words)}
    possible: dict[str, datetime] = {}
    wrong = ""
    for order, (year, month, day) in moments.items():
        try:
            possible[order] = _at(year, month, day, clock)
        except ValueError as error:
            wrong = str(error)
    if not possible:
        raise ValueError(f"{date!r} is no date: {wrong}")
    if YEAR_FIRST in moments:
        # Of two digits, a year that has not come yet is the day.
        come = datetime.now() + timedelta(days=2)
        possible = {order: at for order, at in possible.items() if at < come} or possible
    if len(set(possible.values())) == 1 and len(possible) > 1:
        # The third of March, either way.
        possible = {"": next(iter(possible.values()))}
    return Written(possible, zone)


def _at(year: int, month: int, day: int, clock: tuple[int, int, int, int]) -> datetime:
    hour, minute, second, micro = clock
    midnight = datetime(year, month, day)
    if hour > 24 or minute > 59 or second > 60 or (hour == 24 and (minute or second or micro)):
        raise ValueError(f"there is no time {hour:02}:{minute:02}:{second:02}")
    return midnight + timedelta(hours=hour, minutes=minute, seconds=second, microseconds=micro)


def _without_clock(text: str, half: str) -> tuple[str, tuple[int, int, int, int]]:
    """The rest of a text and its time of day: hours, minutes, seconds, microseconds.

    half: of the day, `a` or `p`, where a word said so
    """
    found = _CLOCK.search(text)
    if found is None:
        if half:
            raise ValueError("it has half of a day and no time of it")
        return text, (0, 0, 0, 0)
    hour = int(found[1] or found[6])
    half = (found[5] or found[7] or half).casefold()
    if half and hour > 12:
        raise ValueError(f"{found.group()!r} is no time of day")
    hour = hour % 12 + 12 * (half == "p") if half else hour
    clock = (hour, int(found[2] or 0), int(found[3] or 0), int((found[4] or "0").ljust(6, "0")[:6]))
    return f"{text[: found.start()]} \0 {text[found.end() :]}", clock


def _words(text: str) -> tuple[list[str], str]:
    """The words of the date, and what stands after the time, where that is no part of a date."""
    before, clock, after = text.partition("\0")
    zone = ""
    if found := re.search(r"\[([^\]]+)\]\s*$", after):
        # Java writes an offset and then the zone.
        after, zone = after[: found.start()], found[1]
    elif (found := re.search(r"\(([^)]+)\)\s*$", after)) is not None:
        after, zone = after[: found.start()], found[1] if not after[: found.start()].strip() else ""
    rest = after.replace(",", " ").split()
    if not clock:
        words = before.split()
        rest = (
            [words.pop()] if len(words) > 1 and not any(map(str.isdigit, words[-1])) and not _is_date(words[-1]) else []
        )
        before = " ".join(words)
    kept: list[str] = []
    named: list[str] = []
    for word in rest:
        (kept if _is_date(word) else named).append(word)
    offset = "".join(named) if len(named) == 2 and named[1][0] in "+-−" else next(iter(named), "")
    # Go writes an offset and then what the zone is called.
    if len(named) > 1 and offset == named[0] and offset[0] not in "+-−":
        raise ValueError(f"{' '.join(named[1:])!r} after the time was not understood")
    found_words = [word for word in [*re.split(r"[\s,]+|:$", before.strip()), *kept] if _date_word(word)]
    return [word.rstrip("T") if word[-1:] == "T" and word[:1].isdigit() else word for word in found_words], (
        offset or zone
    )


def _is_date(word: str) -> bool:
    bare = folded(word)
    return bare in MONTH or bare in DAYS or bare in FILL or (word[:1].isdigit() and not _CLOCK.fullmatch(word))


def _date_word(word: str) -> bool:
    bare = folded(word)
    return bool(bare) and (bare in MONTH or bare not in DAYS) and bare not in FILL


def _with_month(words: list[str]) -> tuple[int, int, int]:
    """Year, month and day of a date that has the month's name."""
    parts = [part for word in words for part in re.split(r"[-/.\s]", word) if part]
    parts = [part for part in parts if _date_word(part)]
    months = [place for place, part in enumerate(parts) if folded(part) in MONTH]
    if not months:
        odd = next((part for part in parts if not part[0].isdigit()), "") or " ".join(words)
        raise ValueError(f"{odd!r} was not understood as a date" if odd else "it has no date")
    rest = [part for place, part in enumerate(parts) if place != months[-1]]
    if len(months) > 1:
        # A day may be called as a month is, `mar`.
        rest = [part for part in rest if folded(part) not in DAYS]
    digits = [_ORDINAL.sub(r"\1", part) for part in rest]
    if odd := next((part for part in digits if not part.isdecimal()), ""):
        raise ValueError(f"{odd!r} was not understood")
    if len(digits) != 2:
        raise ValueError("the year is missing" if len(digits) == 1 else f"{' '.join(words)!r} is no date")
    first, second = digits
    day, year = (second, first) if len(first) == 4 else (first, second)
    if len(year) not in (2, 4) or len(day) > 2:
        raise ValueError(f"{' '.join(words)!r} is no date")
    century = (2000 if int(year) < 69 else 1900) if len(year) == 2 else 0
    return int(year) + century, MONTH[folded(parts[months[-1]])], int(day)
