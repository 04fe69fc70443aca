"""A time, however a client's language writes it.

    text        ISO 8601 and RFC 3339 with any number of digits, a blank or a small t for the T, a small z, UTC, GMT,
                +00, +0530 (Postgres, Go, Java, .NET, Python), a zone's name in brackets behind the offset (Java),
                Go's String, /Date(1772452800000)/ (.NET), Mon, 02 Mar 2026 12:00:00 GMT (HTTP, toUTCString),
                JavaScript's toString, a leap second (the second after it), a number
    a number    since 1970, in the largest unit in which it is after 1973: seconds, milli-, micro- or nanoseconds
    an object   {"seconds": …, "nanos": …} (protobuf, Firestore), {"$date": …} (MongoDB)

A time without its zone is refused, and so are a short name that several zones have (CST, IST) and an array of numbers,
which is how Jackson writes a local time.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

from headrace.contract import ids
from headrace.contract.ids import EARLIEST, LATEST

OUTSIDE = "a time lies between the years 2000 and 2100"
NO_ZONE = "a time needs its zone, as in 2026-01-31T12:00:00Z"
_LOCAL = (
    "an array of numbers is a local time without its zone, as Jackson writes it; write text with a zone,"
    " as in 2026-01-31T12:00:00Z"
)
_WANTED = "a time is ISO 8601 with its zone, as in 2026-01-31T12:00:00Z, or a number since 1970"

SEVERAL_ZONES = {
    "AST": ("America/Halifax", "Asia/Riyadh"),
    "IST": ("Asia/Kolkata", "Asia/Jerusalem", "Europe/Dublin"),
    "CST": ("America/Chicago", "Asia/Shanghai", "America/Havana"),
    "BST": ("Europe/London", "Asia/Dhaka"),
    "GST": ("Asia/Dubai", "Atlantic/South_Georgia"),
    "SST": ("Pacific/Pago_Pago", "Asia/Singapore"),
    "AMT": ("America/Manaus", "Asia/Yerevan"),
    "ECT": ("America/Guayaquil", "Europe/Paris"),
    "WST": ("Australia/Perth", "Pacific/Apia"),
    "LMT": ("UTC",),
}
"""Short names, and the zones that each may mean."""

# The least number of each unit, and how many of it are a second.
_UNITS = ((10**17, 10**9), (10**14, 10**6), (10**11, 10**3), (10**8, 1))
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")
_DOTNET = re.compile(r"\\?/Date\((-?\d+)([+-]\d{4})?\)\\?/")
_ZONE_NAME = re.compile(r"\[[\w/+-]+\]$")
# Go's time.Time as fmt prints it: the offset, the zone's name again, and what the monotonic clock said.
_GO = re.compile(r" ([+-]\d{4}) [A-Za-z+-][\w+-]*( m=[+-][\d.]+)?$")
_NAMED_UTC = re.compile(r" ?(?:UTC|GMT|Z)$", re.IGNORECASE)
_JAVASCRIPT = re.compile(r"[A-Z][a-z]{2} ([A-Z][a-z]{2}) (\d\d) (\d{4}) (\d\d:\d\d:\d\d) GMT([+-]\d{4})(?: \(.*\))?")
_NO_SECONDS = re.compile(r"(?<=\d)[^\d:]\d{2}(?::?\d{2})?[.,]\d")
_LEAP = re.compile(r"(?<=:\d\d):60")
# Behind a time or before its year, as Java writes it; none where an offset stands before it.
_SHORT_NAME = re.compile(r"\d:\d\d(?:[:.,]\d+)*\s*(?:[AP]M\s*)?\(?([A-Z]{3})\b", re.IGNORECASE)
_DATE_AND_TIME = re.compile(r"(?<=\d)t(?=\d)")


def moment(value: Any) -> datetime:
    """The time, with its zone. Raises ValueError with a sentence."""
    try:
        found = _read(value)
    except (OverflowError, ArithmeticError, TypeError):
        raise ValueError(_WANTED) from None
    if found.utcoffset() is None:
        raise ValueError(NO_ZONE)
    if not EARLIEST <= found < LATEST:
        raise ValueError(OUTSIDE)
    return found


def _read(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, bool) or value is None:
        raise ValueError(_WANTED)
    if isinstance(value, str):
        return _of_text(value.strip())
    if isinstance(value, dict):
        return _of_object(value)
    if isinstance(value, list | tuple):
        raise ValueError(_LOCAL)
    if isinstance(value, date):
        raise ValueError(NO_ZONE)
    return _of_number(value if isinstance(value, int | Decimal) else float(value))


def from_iso(text: str) -> datetime:
    """As datetime.fromisoformat, which takes 14.05 for 50 milliseconds after two. Raises ValueError."""
    if _NO_SECONDS.search(text):
        raise ValueError(_WANTED)
    return datetime.fromisoformat(text)


def since_1970(count: float | Decimal) -> datetime | None:
    """The time of a count since 1970, in the largest unit in which it is after 1973; None where it is in none.

    What is finer than a microsecond is cut off where the count is whole, and else rounded. Raises OverflowError.
    """
    exact = Decimal(repr(count)) if isinstance(count, float) else Decimal(count)
    a_second = next((unit for least, unit in _UNITS if abs(exact) >= least), None)
    if a_second is None:
        return None
    whole = int(exact)
    micros = whole * 10**6 // a_second if exact == whole else round(exact * 10**6 / a_second)
    return ids.EPOCH + timedelta(microseconds=micros)


def _of_number(value: float | Decimal) -> datetime:
    if not -1e20 < value < 1e20:
        raise ValueError(_WANTED)
    found = since_1970(value)
    if found is None:
        raise ValueError(f"{_WANTED}, of at least 100000000 seconds")
    return found


def _of_object(value: dict[str, Any]) -> datetime:
    names = {str(name).lstrip("_"): inner for name, inner in value.items()}
    if "seconds" in names and names.keys() <= {"seconds", "nanos", "nanoseconds"}:
        nanos = names.get("nanos", names.get("nanoseconds"))
        return ids.EPOCH + timedelta(
            seconds=_whole(names["seconds"]), microseconds=_whole(0 if nanos is None else nanos) // 1000
        )
    inner = names.get("$date") if len(names) == 1 else None
    if isinstance(inner, dict) and len(inner) == 1:
        inner = inner.get("$numberLong")
    if isinstance(inner, str) and not _NUMBER.fullmatch(inner):
        return _of_text(inner.strip())
    # MongoDB's numbers are milliseconds whatever their size.
    return ids.EPOCH + timedelta(milliseconds=_whole(inner))


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float | str) or len(str(value)) > 20:
        raise ValueError(_WANTED)
    try:
        return int(value)
    except ValueError:
        raise ValueError(_WANTED) from None


def _of_text(text: str) -> datetime:
    if not text or len(text) > 100:
        raise ValueError(_WANTED)
    if _NUMBER.fullmatch(text):
        return _of_number(int(text) if text.lstrip("+-").isdecimal() else float(text))
    if dotnet := _DOTNET.fullmatch(text):
        # The offset says what the clock on the wall showed; the number is UTC.
        return ids.EPOCH + timedelta(milliseconds=int(dotnet[1]))
    if javascript := _JAVASCRIPT.fullmatch(text):
        month, day, year, clock, offset = javascript.groups()
        return _of_mail(f"{day} {month} {year} {clock} {offset}")
    plain = _ZONE_NAME.sub("", text).replace("\N{MINUS SIGN}", "-")
    plain = _NAMED_UTC.sub("+00:00", _GO.sub(r"\1", plain))
    plain = _DATE_AND_TIME.sub("T", plain)
    leap = _LEAP.search(plain) is not None
    try:
        found = from_iso(_LEAP.sub(":59", plain))
    except ValueError:
        return _of_mail(text)
    return found + timedelta(seconds=1) if leap else found


def _of_mail(text: str) -> datetime:
    named = _SHORT_NAME.search(text)
    if named and (zones := SEVERAL_ZONES.get(named[1].upper())):
        # Python's email takes CST and AST for zones of North America.
        raise ValueError(
            f"the zone {named[1]} may be that of {' or '.join(zones)}; write an offset, as in 2026-01-31T12:00:00+01:00"
        )
    try:
        return parsedate_to_datetime(text)
    except (ValueError, IndexError, TypeError, AttributeError):
        raise ValueError(_WANTED) from None
