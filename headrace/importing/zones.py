"""Zones as they stand in times: offsets, `GMT+1`, Europe/Berlin, and the short names that mean one zone alone."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from headrace.contract.moments import SEVERAL_ZONES
from headrace.errors import EventError

# Minutes east of Greenwich. Those of North America by RFC 5322, section 4.3; the others as the tz database has them
# for one offset alone.
_KNOWN = {
    "Z": 0, "UT": 0, "UTC": 0, "GMT": 0, "WET": 0, "WEST": 60, "CET": 60, "CEST": 120, "MET": 60, "MEST": 120,
    "MEZ": 60, "MESZ": 120, "HNEC": 60, "HAEC": 120, "EET": 120, "EEST": 180, "MSK": 180, "TRT": 180, "WAT": 60,
    "CAT": 120, "SAST": 120, "EAT": 180, "PKT": 300, "NPT": 345, "WIB": 420, "ICT": 420, "WITA": 480, "HKT": 480,
    "SGT": 480, "AWST": 480, "PHT": 480, "WIT": 540, "JST": 540, "KST": 540, "ACST": 570, "ACDT": 630, "AEST": 600,
    "AEDT": 660, "NZST": 720, "NZDT": 780, "EST": -300, "EDT": -240, "MST": -420, "MDT": -360, "PST": -480,
    "PDT": -420, "CDT": -300, "AKST": -540, "AKDT": -480, "HST": -600, "NST": -210, "NDT": -150, "ADT": -180,
    "ART": -180, "BRT": -180, "CLT": -240, "CLST": -180, "COT": -300, "PET": -300, "VET": -240, "IDT": 180,
}  # fmt: skip
_OFFSET = re.compile(r"(?:GMT|UTC|UT)?\s?([+\-−])(\d{1,2})(?::?(\d{2}))?(?::?(\d{2}))?", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z]{1,5}")
_PLACE = re.compile(r"[A-Za-z_]+(?:/[A-Za-z0-9_+\-]+)+")


def zone_in(text: str, local: datetime, own: ZoneInfo | None) -> tzinfo | None:
    """The zone that a text names for a local time; None where it names none.

    own: of the caller; a short name that it uses means it. Raises EventError for a short name of several zones.
    """
    if found := _OFFSET.fullmatch(text):
        hours, minutes, seconds = int(found[2]), int(found[3] or 0), int(found[4] or 0)
        if hours > 18 or minutes > 59 or seconds > 59:
            return None
        size = timedelta(hours=hours, minutes=minutes, seconds=seconds)
        return timezone(size if found[1] == "+" else -size)
    if _PLACE.fullmatch(text):
        return named(text)
    name = text.upper()
    if not _NAME.fullmatch(name):
        return None
    if own is not None and (offset := _offset_called(name, local, own)) is not None:
        return timezone(offset)
    if name in SEVERAL_ZONES:
        zones = " or ".join(SEVERAL_ZONES[name])
        raise EventError(f"the zone {text} may be that of {zones}: say which with --zone")
    return timezone(timedelta(minutes=_KNOWN[name])) if name in _KNOWN else None


def named(name: str) -> ZoneInfo | None:
    """The zone of the tz database; None where there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _offset_called(name: str, local: datetime, zone: ZoneInfo) -> timedelta | None:
    """The offset that a zone calls so, at that time or in that year."""
    for at in (local, local.replace(fold=1), *(datetime(local.year, month, 1) for month in (1, 7))):
        aware = at.replace(tzinfo=zone)
        if (aware.tzname() or "").upper() == name:
            return aware.utcoffset()
    return None
