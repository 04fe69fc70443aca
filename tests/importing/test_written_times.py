"""Times as spreadsheets, forms, ticket systems and programs write them; what can mean two is asked for."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from headrace.contract.moments import moment, since_1970
from headrace.errors import EventError
from headrace.importing import Mapping
from headrace.importing.dates import DAY_FIRST, MONTH_FIRST, YEAR_FIRST
from headrace.importing.times import Times

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 3, 2, 12, 5, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026/03/02 1:05:09 PM GMT+1",
        "2026/03/02 2:05:09 PM EET",
        "2026-03-02 13:05:09 CET",
        "2026-03-02 13:05:09 MEZ",
        "2026-03-02 07:05:09 EST",
        "2026-03-02 12:05:09 UTC",
        "2026-03-02 12:05:09 Z",
        "2026-03-02 13:05:09 +01:00",
        "2026-03-02T13:05:09+0100",
        "2026-03-02T13:05:09+01",
        "2026-03-02T17:35:09+05:30",
        "2026-03-02 17:35:09 +0530",
        "2026-03-02 12:05:09 +0000 UTC",
        "2026-03-02T13:05:09+01:00[Europe/Berlin]",
        "2026-03-02T13:05:09[Europe/Berlin]",
        "2026-03-02 13:05:09 Europe/Berlin",
        "20260302T120509Z",
        "2026-W10-1T12:05:09Z",
        "Mon Mar  2 13:05:09 CET 2026",
        "Mon Mar 02 2026 13:05:09 GMT+0100 (Central European Standard Time)",
        "Mon, 02 Mar 2026 12:05:09 GMT",
        "Mon, 2 Mar 2026 13:05:09 +0100",
        "2/Mar/2026:12:05:09 +0000",
        "02-Mar-2026 12:05:09 UTC",
        "March 2, 2026, 7:05:09 AM EST",
        "2. März 2026 um 13:05:09 MEZ",
        "lundi 2 mars 2026 à 13:05:09 CET",
        "2 de marzo de 2026 13:05:09 CET",
        "March 2nd, 2026 at 7:05:09 a.m. EST",
        "2026-03-02 12:05:09.000000000 UTC",
        "1772453109",
        "1772453109.000",
        "1772453109000",
        "1772453109000000",
        "1772453109000000000",
        "/Date(1772453109000)/",
        "\\/Date(1772453109000+0100)\\/",
        '{"$date": "2026-03-02T12:05:09Z"}',
        "2026-03-02t12:05:09z",
        "2026-03-02 12:05:09 +0000 UTC m=+0.000012",
    ],
)
def test_a_time_that_names_its_zone(text: str) -> None:
    """It is the same moment, whoever wrote it."""
    assert Times().read(text) == NOON


@pytest.mark.parametrize(
    "text",
    [
        "02.03.2026 13:05:09",
        "2.3.2026, 13:05:09",
        "02.03.2026 um 13:05:09 Uhr",
        "02.03.2026 13:05:09 Uhr",
        "02-MAR-26 01.05.09.000000 PM",
        "02-MAR-26 01.05.09 PM",
        "2.3.2026 13.05.09",
        "2.3.2026 kl. 13.05.09",
        "02.03.26 13:05:09",
        "2/Mar/26 13:05:09",
        "2-Mar-26 1:05:09 PM",
        "2026/3/2 13:05:09",
        "2026.03.02 13:05:09",
        "2026/03/02 1:05:09\u202fPM",
        "2026-03-02\u00a013:05:09",
        "20260302130509",
        "2026年3月2日 13:05:09",
        "Mar 2, 2026 1:05:09 PM",
        "Mar 2, 2026 @ 13:05:09.000",
        "13:05:09 02.03.2026",
        "2026/3/2 下午 1:05:09",
        "2026年3月2日 星期一 下午1:05:09",
        "2026年3月2日13时05分09秒",
        "2026年3月2日(月) 13時5分9秒",
        "2026/03/02 午後1:05:09",
        "2026. 3. 2. 오후 1:05:09",
        "2026년 3월 2일 월요일 오후 1시 5분 9초",
        "2 марта 2026 г., 13:05:09",
        "понедельник, 2 марта 2026 г. в 13:05:09",
        "2 мар. 2026 г., 13:05:09",
        "2 березня 2026 р., 13:05:09",
        "2 marca 2026, 13:05:09",
        "2. března 2026 13:05:09",
        "2 Mart 2026 13:05:09",
        "2 Mart 2026 ÖS 1:05:09",
        "2026. március 2. 13:05:09",
        "2. maaliskuuta 2026 klo 13.05.09",
        "2 martie 2026, 13:05:09",
        "2 Μαρτίου 2026, 1:05:09 μ.μ.",
        "2/Μαρ/2026 1:05:09 μμ",
        "2 مارس 2026 1:05:09 م",
        "2 मार्च 2026, 13:05:09",
        "02MAR2026:13:05:09",
        "02MAR26:13:05:09.000",
        "2Mar2026 13:05:09",
        "2026-03-02-13.05.09.000000",
        " '2026-03-02 13:05:09' ",
        "46083.545243055552",
        "46083,545243055552",
    ],
)
def test_a_local_time(text: str) -> None:
    """It is read in the zone that is given, and refused without one."""
    assert Times(BERLIN).read(text) == NOON
    with pytest.raises(EventError, match="has no zone: say which with --zone"):
        Times().read(text)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("%Y/%m/%d %I:%M:%S %p %Z", "2026/03/02 1:05:09 PM GMT+1"),
        ("%Y/%m/%d %I:%M:%S %p GMT%z", "2026/03/02 1:05:09 PM GMT+1"),
        ("%Y/%m/%d %I:%M:%S %p %Z", "2026/03/02 2:05:09 PM EET"),
        ("%Y/%m/%d %I:%M:%S %p %z", "2026/03/02 1:05:09 PM +01"),
        ("%d/%m/%Y %H:%M:%S", "02/03/2026 13:05:09"),
        ("%m/%d/%y %H:%M:%S.%f", "03/02/26 13:05:09.000000000"),
        ("%d.%m.%Y %H:%M:%S %Z", "02.03.2026 13:05:09 CET"),
    ],
)
def test_a_format(form: str, text: str) -> None:
    """A format of strptime; %z and %Z at its end read every zone, and nanoseconds are cut off."""
    assert Times(BERLIN, form).read(text) == NOON


@pytest.mark.parametrize(
    ("times", "text", "says"),
    [
        (Times(), "2026/06/22 11:07:29 AM AST", "may be that of America/Halifax or Asia/Riyadh: say which with --zone"),
        (Times(), "2026-03-02 12:00 IST", "Asia/Kolkata or Asia/Jerusalem or Europe/Dublin"),
        (Times(), "2026-03-02 12:00 CST", "America/Chicago or Asia/Shanghai"),
        (Times(), "1.77245E+12", "it was rounded by a spreadsheet; export the column as text"),
        (Times(), [2026, 3, 2, 12, 5], "an array of numbers is a local time without its zone"),
        (Times(), "2026-03-02 12:00 XQZ", "the zone 'XQZ' is not known; write an offset"),
        (Times(), "2026-03-02 12:00 Europe/Berlim", "the zone 'Europe/Berlim' is not known"),
        (Times(BERLIN), "2026-13-02 12:00", "'2026-13-02' is no date: month must be in 1..12"),
        (Times(BERLIN), "30.02.2026 12:00", "'30.02.2026' is no date: day"),
        (Times(BERLIN), "02.03.2026 25:00", "there is no time 25:00"),
        (Times(BERLIN), "02.03.2026 13:00 PM", "'13:00 PM' is no time of day"),
        (Times(BERLIN), "2026/3/2 下午 13:05", "is no time of day; expected ISO 8601"),
        (Times(BERLIN), "2026/3/2 下午", "it has half of a day and no time of it"),
        (Times(BERLIN), "2 мурта 2026 12:00", "'мурта' was not understood as a date; expected ISO 8601"),
        (
            Times(ZoneInfo("Europe/Zagreb")),
            "2. listopada 2026. 12:00",
            "listopada is another month in Croatian than in ",
        ),
        (Times(BERLIN), "2 Foo 2026 12:00", "'Foo' was not understood"),
        (Times(BERLIN), "2 Mar 12:00", "the year is missing"),
        (Times(BERLIN), "yesterday", "'yesterday' was not understood"),
        (Times(BERLIN), "03/02/26 12:00", "may be 03 February 2026 or 02 March 2026 or 26 February 2003"),
        (Times(BERLIN), "3/2/2026 12:00", "may be 03 February 2026 or 02 March 2026"),
        (Times(BERLIN, "%d.%m.%Y"), "02.03.2026 12:00", "unconverted data remains:  12:00; expected %d.%m.%Y"),
        (Times(BERLIN, "%d.%m.%Y %Z"), "02.03.2026 QQQ", "the zone 'QQQ' is not known"),
        (Times(BERLIN), "2026-03-29 02:30", "does not exist in Europe/Berlin: clocks were put forward"),
        (Times(ZoneInfo("Pacific/Apia")), "2011-12-30", "does not exist in Pacific/Apia: clocks were put forward"),
    ],
)
def test_what_was_not_understood(times: Times, text: str, says: str) -> None:
    """The sentence names the part, or asks which of two is meant."""
    with pytest.raises(EventError) as caught:
        times.read(text)
    assert says in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["2026-09-06", "06.09.2026", "2026-09-06 00:00:00", date(2026, 9, 6), 46_271])
def test_a_day_without_midnight_begins_when_it_begins(value: object) -> None:
    """In Santiago clocks go from midnight to one; a date alone, however it is written, is that day."""
    assert Times(ZoneInfo("America/Santiago")).read(value) == datetime(2026, 9, 6, 4, tzinfo=UTC)


@pytest.mark.parametrize("millis", [1772010112345, 1652123123456, 1778123101200, 1772123123459])
def test_milliseconds_that_look_like_a_day_and_a_time(millis: int) -> None:
    """A count of thirteen digits is one, as text as it is as a number."""
    wanted = datetime.fromtimestamp(millis // 1000, UTC).replace(microsecond=millis % 1000 * 1000)
    assert Times().read(str(millis)) == Times().read(millis) == wanted


@pytest.mark.parametrize(
    "value",
    [
        {"$date": "2026-03-02T12:05:09Z"},
        {"$date": {"$numberLong": "1772453109000"}},
        {"seconds": 1772453109, "nanos": 0},
        {"_seconds": 1772453109, "_nanoseconds": 0},
    ],
)
def test_a_time_that_is_an_object(value: dict[str, object]) -> None:
    """MongoDB's, protobuf's and Firestore's are read, from a column of any name."""
    assert Times().read(value) == NOON
    for column in ("at", "occurred_at"):
        mapping = Mapping("feedback", {column: "occurred_at"}, {"source": "user", "signal": "thumb", "session_id": "s"})
        assert mapping.event({column: value}).occurred_at == NOON


def test_a_short_name_of_several_zones_is_the_callers() -> None:
    """With --zone an ambiguous short name is what that zone calls itself."""
    assert Times(ZoneInfo("Asia/Kolkata")).read("2026-03-02 17:35:09 IST") == NOON
    assert Times(ZoneInfo("America/Halifax")).read("2026-03-02 08:05:09 AST") == NOON
    assert Times(ZoneInfo("Asia/Shanghai")).read("2026-03-02 20:05:09 CST") == NOON


def test_day_and_month_by_the_column() -> None:
    """What a column shows decides; a time that contradicts it is refused."""
    assert Times(BERLIN, order=DAY_FIRST).read("2/3/2026 13:05:09") == NOON
    assert Times(BERLIN, order=MONTH_FIRST).read("3/2/2026 1:05:09 PM") == NOON
    assert Times(BERLIN).read("3/3/2026 12:00") == datetime(2026, 3, 3, 11, tzinfo=UTC)
    assert Times().orders("3/2/2026") == {DAY_FIRST, MONTH_FIRST}
    assert Times().orders("13/2/2026") == {DAY_FIRST}
    assert Times().orders("3/2/26") == {DAY_FIRST, MONTH_FIRST, YEAR_FIRST}
    assert Times().orders("3/15/26") == {MONTH_FIRST} and Times().orders("31/12/25") == {DAY_FIRST}
    assert Times().orders("25/12/31") == {YEAR_FIRST} and Times().orders("26/03/02") == {DAY_FIRST, YEAR_FIRST}
    assert Times(BERLIN, order=MONTH_FIRST).read("3/2/26 1:05:09 PM") == NOON
    assert Times().orders("02.03.2026") == {DAY_FIRST} and Times().orders("2026-03-02") == set()
    with pytest.raises(EventError, match="have the day first"):
        Times(BERLIN, order=DAY_FIRST).read("2/13/2026")


@pytest.mark.parametrize(
    ("text", "hour"),
    [("2026-03-02 0:05 AM", 0), ("2026-03-02 12:05 AM", 0), ("2026-03-02 0:05 PM", 12), ("2026/3/2 午後0:05", 12),
     ("2026/3/2 上午12:05", 0), ("2026/3/2 下午12:05", 12), ("2026. 3. 2. 오전 12:05", 0),
     ("2/Mar/2026 12:05 π.μ.", 0)],
)  # fmt: skip
def test_the_hours_around_noon_and_midnight(text: str, hour: int) -> None:
    """The hour of twelve is the first of its half, also where it is written as zero."""
    assert Times(ZoneInfo("UTC")).read(text) == datetime(2026, 3, 2, hour, 5, tzinfo=UTC)


def test_a_month_s_name_in_the_large_languages_is_one_month() -> None:
    """No name is a zone's, and a date is the same in each month."""
    from headrace.importing.date_words import DAYS, FILL, MONTH
    from headrace.importing.zones import _KNOWN, SEVERAL_ZONES

    assert not {zone.casefold() for zone in {*_KNOWN, *SEVERAL_ZONES} - {"Z"}} & (MONTH.keys() | DAYS | FILL)
    for words in ("января августа декабря", "stycznia sierpnia grudnia", "ledna srpna prosince", "Ocak Ağustos Aralık",
                  "Ιανουαρίου Αυγούστου Δεκεμβρίου", "Januar August Dezember", "janvier août décembre"):  # fmt: skip
        read = [Times(ZoneInfo("UTC")).read(f"3 {word} 2026 12:00") for word in words.split()]
        assert read == [datetime(2026, month, 3, 12, tzinfo=UTC) for month in (1, 8, 12)]


def test_clocks_put_back() -> None:
    """Of an hour that comes twice the first is taken, and told; a short name says which."""
    times = Times(BERLIN)
    assert times.read("2026-10-25 02:30") == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert times.read("2026-10-25 02:30 CET") == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert times.twice("2026-10-25 02:30") and not times.twice("2026-10-25 03:30")
    assert not times.twice("2026-10-25 02:30+01:00") and not times.twice("2026-03-29 02:30")


def test_days_as_excel_counts_them() -> None:
    """From 1900, or from 1904 where that is said; too few to be a count since 1970."""
    assert Times(ZoneInfo("UTC")).read(45000.5) == datetime(2023, 3, 15, 12, tzinfo=UTC)
    assert Times(ZoneInfo("UTC"), "excel-1904").read("43538.5") == datetime(2023, 3, 15, 12, tzinfo=UTC)


def test_fractions_and_the_end_of_a_day() -> None:
    """Microseconds are kept and no digit is lost to floating point; 24:00 is the next day's beginning."""
    assert Times().read("1772453109.123456") == NOON.replace(microsecond=123456)
    assert Times().read("2026-03-02T12:05:09.123456789Z") == NOON.replace(microsecond=123456)
    assert Times().read("2026/03/02 12:05:09,123456789 UTC") == NOON.replace(microsecond=123456)
    assert Times(ZoneInfo("UTC")).read("02.03.2026 24:00") == datetime(2026, 3, 3, tzinfo=UTC)


@pytest.mark.parametrize("count", ["1772453109.1234567", "1772453109123.4567", "1772453109123456789", "-1772453109"])
def test_a_count_is_the_time_that_events_read(count: str) -> None:
    """An import and the collector make one time of the same count since 1970, also beyond the microsecond."""
    assert Times().read(count) == since_1970(Decimal(count))
    assert count[0] == "-" or Times().read(count) == moment(count) == moment(json.loads(count))


@pytest.mark.parametrize(
    ("text", "minute"), [("2026-03-22 14.05", 5), ("2026-03-22 14.50", 50), ("2026-03-22 kl. 14.05", 5)]
)
def test_a_point_between_hours_and_minutes(text: str, minute: int) -> None:
    """Swedes write it behind an ISO date; Python's own reading makes milliseconds of the minutes."""
    assert Times(ZoneInfo("UTC")).read(text) == datetime(2026, 3, 22, 14, minute, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-03-22 14:05.30", "2026-03-22 14,05", "20260322 14.05", "2026-03-22T1405.5"])
def test_a_fraction_without_seconds_is_refused(text: str) -> None:
    """It is minutes or seconds to who wrote it, and was a fraction of a second."""
    with pytest.raises(EventError, match="is not a time"):
        Times(ZoneInfo("UTC")).read(text)
    with pytest.raises(ValueError, match="a time is ISO 8601"):
        moment(f"{text}Z")
