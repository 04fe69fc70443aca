"""A cell that holds a time becomes a moment, UTC; nothing is guessed where a time can mean two."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from headrace.contract.moments import from_iso, since_1970
from headrace.contract.moments import moment as by_contract
from headrace.errors import EventError
from headrace.importing.date_words import CROATIA, CROATIAN
from headrace.importing.dates import Written, taken_apart
from headrace.importing.zones import zone_in

# Excel counts days from here; those of 2000 to 2100 are too few for a count since 1970.
_EXCEL, _EXCEL_1904 = datetime(1899, 12, 30), datetime(1904, 1, 1)
_EXCEL_DAYS = (36_526, 73_051)
EXCEL_1904 = "excel-1904"
MAX_TIME = 100
"""Characters of a time."""
_NUMBER = re.compile(r"[+-]?\d{1,25}(?:[.,]\d{1,30})?(?:[eE][+-]?\d{1,2})?")
# A spreadsheet shows six digits of a long number: the seconds are lost.
_ROUNDED = re.compile(r"\d(?:[.,]\d{1,5})?[eE]\+?\d{1,2}")
_COMPACT = re.compile(r"((?:19|20)\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?(\d{3})?")
_FRACTION = re.compile(r"([.,]\d{6})\d+")
_ZONE_AT_END = re.compile(
    r"\s*(\[?[A-Za-z_]+/[A-Za-z_/]+\]?|(?:GMT|UTC|UT)?\s?[+\-−]\d{1,2}(?::?\d{2}){0,2}|(?<![A-Za-z])[A-Za-z]{1,5})\s*$"
)
_ZONE_IN_FORMAT = re.compile(r"\s*(?:GMT|UTC)?%[zZ]\s*$")


@dataclass(frozen=True, slots=True)
class Times:
    """Reads times: ISO 8601, what people and programs write, a format, a count since 1970, days as Excel counts them.

    zone: of times that name none; None refuses them
    format: of strptime, where %z and %Z at its end read every zone; or excel-1904
    order: of day and month in 3/2/2026, as a column shows it; empty where it is not known
    """

    zone: ZoneInfo | None = None
    format: str = ""
    order: str = ""

    def read(self, value: Any) -> datetime:
        """The time, UTC. Raises EventError that says what was not understood."""
        try:
            moment = self._moment(value)
            return (moment if moment.tzinfo else self._local(moment, value)).astimezone(UTC)
        except EventError:
            raise
        except (ValueError, OverflowError, TypeError, ArithmeticError) as error:
            wanted = self.format or "ISO 8601 (2026-01-31T12:00:00+01:00), or as people write it"
            why = f": {error}" if isinstance(error, ValueError) and str(error) else ""
            said = f"{str(value)[:80]!r} is not a time{why[:200]}"
            # Names of months in other languages no format can read.
            instead = "see --time-format" if str(value).isascii() else "write it in digits"
            raise EventError(f"{said}; expected {wanted}; {instead}") from None

    def orders(self, value: Any) -> set[str]:
        """The orders of day and month in which a text is a time; empty where it makes no difference."""
        if not isinstance(value, str) or self.format:
            return set()
        try:
            found = self._plain(tidy(value[:MAX_TIME]))
            return set(found.moments) - {""} if isinstance(found, Written) else set()
        except (ValueError, OverflowError, EventError, ArithmeticError):
            return set()

    def twice(self, value: Any) -> bool:
        """Whether a local time is one that the zone has twice, as clocks are put back."""
        try:
            moment = self._moment(value)
        except (ValueError, OverflowError, TypeError, EventError, ArithmeticError):
            return False
        if moment.tzinfo is not None or self.zone is None:
            return False
        first, second = (moment.replace(tzinfo=self.zone, fold=fold).utcoffset() for fold in (0, 1))
        return first is not None and second is not None and first > second

    def _local(self, moment: datetime, value: Any) -> datetime:
        if self.zone is None:
            raise EventError(
                f"the time {str(value)[:80]!r} has no zone: say which with --zone, as --zone Europe/Berlin"
            )
        # Of a time that the zone has twice this is the first.
        aware = moment.replace(tzinfo=self.zone)
        shown = aware.astimezone(UTC).astimezone(self.zone).replace(tzinfo=None)
        # A date without a time is midnight; where clocks are put forward at midnight it is the day's first moment.
        if shown != moment and (moment.time() != time() or shown.date() != moment.date()):
            raise EventError(
                f"the time {str(value)[:80]!r} does not exist in {self.zone.key}: clocks were put forward; see --zone"
            )
        return aware

    def _moment(self, value: Any) -> datetime:
        if isinstance(value, datetime):
            return value
        if isinstance(value, date):
            return datetime.combine(value, time())
        if isinstance(value, bool):
            raise TypeError
        if isinstance(value, int | float | Decimal):
            return _counted(Decimal(str(value)), self.format)
        if isinstance(value, Mapping | list):
            return by_contract(value)
        if not isinstance(value, str):
            raise TypeError
        text = tidy(value[: 2 * MAX_TIME])
        if len(text) > MAX_TIME:
            raise ValueError("it is too long")
        if self.format and self.format != EXCEL_1904:
            return self._formatted(text)
        found = self._plain(text)
        if isinstance(found, datetime):
            return found
        moment = self._chosen(found, text)
        return moment.replace(tzinfo=self._zone(found.zone, moment)) if found.zone else moment

    def _plain(self, text: str) -> datetime | Written:
        if compact := _COMPACT.fullmatch(text):
            year, month, day, hour, minute, second, millis = (int(part or 0) for part in compact.groups())
            return datetime(year, month, day, hour, minute, second, 1000 * millis)
        # Python takes thirteen digits for a day, a separator and a time: what is a number alone is a count.
        if _NUMBER.fullmatch(text) and not (len(text) == 8 and text.isdecimal()):
            if _ROUNDED.fullmatch(text):
                raise ValueError("it was rounded by a spreadsheet; export the column as text")
            return _counted(Decimal(text.replace(",", ".")), self.format)
        try:
            return from_iso(text)
        except ValueError:
            pass
        if text.startswith("{"):
            return by_contract(json.loads(text))
        if self.zone is not None and self.zone.key in CROATIA and (name := CROATIAN.search(text)):
            raise EventError(
                f"{text[:80]!r}: {name[0]} is another month in Croatian than in Polish; write it in digits"
            )
        try:
            return taken_apart(text)
        except ValueError as error:
            # What a program writes, as .NET its /Date(…)/.
            try:
                return by_contract(text)
            except ValueError:
                raise error from None

    def _chosen(self, found: Written, text: str) -> datetime:
        if len(found.moments) == 1:
            order, moment = next(iter(found.moments.items()))
            if order and self.order and order != self.order:
                raise ValueError(f"the other times of its column have the {self.order}")
            return moment
        if self.order not in found.moments:
            ways = " or ".join(f"{moment:%d %B %Y}" for moment in found.moments.values())
            raise EventError(
                f"{text[:80]!r} may be {ways}, and no time of its column shows which: say it with --time-format, as"
                " '%d/%m/%Y %H:%M' or '%m/%d/%Y %I:%M %p'"
            )
        return found.moments[self.order]

    def _zone(self, text: str, moment: datetime) -> tzinfo:
        found = zone_in(text, moment, self.zone)
        if found is None:
            raise ValueError(f"the zone {text!r} is not known; write an offset, as +01:00")
        return found

    def _formatted(self, text: str) -> datetime:
        form = self.format
        zone = ""
        if _ZONE_IN_FORMAT.search(form):
            at_end = _ZONE_AT_END.search(text)
            if at_end is None:
                raise ValueError("no zone stands at its end")
            form, zone = _ZONE_IN_FORMAT.sub("", form), at_end[1].strip("[]")
            text = text[: at_end.start()]
        moment = datetime.strptime(_FRACTION.sub(r"\1", text) if "%f" in form else text, form)
        return moment.replace(tzinfo=self._zone(zone, moment)) if zone else moment


def tidy(text: str) -> str:
    """Without blanks that only look like one: ICU writes a narrow one before AM and PM."""
    return " ".join(text.replace("\u200e", "").replace("\0", "").strip(" '\"\ufeff\t\r\n").split())


def _counted(value: Decimal, form: str) -> datetime:
    """Of a count since 1970, or of days as Excel counts them. Raises ValueError."""
    if not value.is_finite():
        raise InvalidOperation
    if _EXCEL_DAYS[0] - 1462 <= value < _EXCEL_DAYS[1]:
        begin = _EXCEL_1904 if form == EXCEL_1904 else _EXCEL
        if begin == _EXCEL and value < _EXCEL_DAYS[0]:
            raise ValueError("")
        # A day has 86,400 s, and a fraction of it has rounding: whole milliseconds are meant.
        return begin + timedelta(milliseconds=int((value * 86_400_000).to_integral_value()))
    found = since_1970(value)
    if found is None:
        raise ValueError("")
    return found
