"""Whether 1,234 has a fraction and 3/2/2026 has the day first is what a whole column shows, or is asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from ratings_files import RATING, checked, ratings, text

from headrace.errors import EventError


@pytest.mark.parametrize(
    ("cells", "delimiter", "decimal", "values"),
    [
        (["4,5", "1"], ";", "", [4.5, 1]),
        (["4.5", "1"], ";", "", [4.5, 1]),
        (["4,5", "1"], "\t", "", [4.5, 1]),
        (["1.234,5", "1.234"], ";", "", [1234.5, 1234]),
        (["1,234.5", "1,234"], "\t", "", [1234.5, 1234]),
        (["1,234", "2,500"], "\t", ",", [1.234, 2.5]),
        (["1,234", "2,5"], "\t", "", [1.234, 2.5]),
        (["1.234"], ";", ".", [1.234]),
        (["1.234"], ";", ",", [1234]),
        (["1.234"], "\t", "", [1.234]),
        (["1 234,5", "1\u202f234,5", "1'234,5"], ";", "", [1234.5, 1234.5, 1234.5]),
        (["85 %", "0,5"], ";", "", [0.85, 0.5]),
        (["(4,5)", "−1,5", "+2"], ";", "", [-4.5, -1.5, 2]),
        (["1e-3", ".5"], "\t", "", [0.001, 0.5]),
        (["N/A", "NULL", "-", "nan", "None", "#N/A", " "], ";", "", [None] * 5),
    ],
)
def test_numbers_of_a_country(
    tmp_path: Path, cells: list[str], delimiter: str, decimal: str, values: list[float | None]
) -> None:
    """The mark before fractions is what the column shows, or the option says."""
    rows = [[f"T-{n}", "02.03.2026 13:00", f"g-{n}", cell] for n, cell in enumerate(cells)]
    (tmp_path / "a.csv").write_text(text(rows, delimiter))
    # What a comment's value is worth nobody bounds.
    graded = replace(RATING, constants={"source": "user", "signal": "comment"})
    assert [value for _, value in ratings(tmp_path / "a.csv", graded, decimal=decimal)] == values


@pytest.mark.parametrize(
    ("cells", "delimiter", "says"),
    [
        (["1.234", "5.678"], ";", "the number '1.234' in row 1 may have a fraction or thousands: say with --decimal"),
        (["1", "1,234"], ";", "the number '1,234' in row 2 may have a fraction or thousands: say with --decimal"),
        (["1,234", "2,500"], "\t", "the number '1,234' in row 1 may have a fraction or thousands: say with --decimal"),
        (["1,234", "2,500"], "|", "the number '1,234' in row 1 may have a fraction or thousands: say with --decimal"),
        (['="1,234"'], "\t", "may have a fraction or thousands: say with --decimal"),
        (["4,5", "4.5"], ";", "a decimal point ('4.5' in row 2) and a decimal comma ('4,5' in row 1)"),
    ],
)
def test_numbers_that_can_mean_two_are_asked_for(tmp_path: Path, cells: list[str], delimiter: str, says: str) -> None:
    """Before a row is sent."""
    rows = [[f"T-{n}", "02.03.2026 13:00", f"g-{n}", cell] for n, cell in enumerate(cells)]
    (tmp_path / "a.csv").write_text(text(rows, delimiter))
    with pytest.raises(EventError) as caught:
        checked(tmp_path / "a.csv")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("times", "months", "says"),
    [
        (
            ["3/2/2026 12:00", "13/2/2026 12:00"],
            [2, 2],
            "times with the day first, as '13/2/2026 12:00' in row 2 shows",
        ),
        (
            ["3/2/2026 12:00", "2/13/2026 12:00"],
            [3, 2],
            "times with the month first, as '2/13/2026 12:00' in row 2 shows",
        ),
        (
            ["3/2/26 12:00", "3/15/26 12:00"],
            [3, 3],
            "times with the month first, as '3/15/26 12:00' in row 2 shows",
        ),
        (["25.10.2026 02:30"], [10], "1 times are in an hour that Europe/Berlin has twice: the first of both is taken"),
    ],
)
def test_a_whole_column_shows_the_order(tmp_path: Path, times: list[str], months: list[int], says: str) -> None:
    """Of day and month; a dry run tells which row shows it."""
    (tmp_path / "a.csv").write_text(text([[f"T-{n}", at, "g", "1"] for n, at in enumerate(times)]))
    summary, events = checked(tmp_path / "a.csv")
    assert says in summary.found
    assert [event.occurred_at.month for event in events] == months


@pytest.mark.parametrize(
    ("times", "says"),
    [
        (["3/2/2026 12:00", "4/5/2026 12:00"], "the time '3/2/2026 12:00' in row 1 has a day and a month that may"),
        (["13/2/2026 12:00", "2/13/2026 12:00"], "the day first ('13/2/2026 12:00' in row 1) and the month first"),
    ],
)
def test_a_column_that_shows_no_order_is_asked_for(tmp_path: Path, times: list[str], says: str) -> None:
    """Before a row is sent."""
    (tmp_path / "a.csv").write_text(text([[f"T-{n}", at, "g", "1"] for n, at in enumerate(times)]))
    with pytest.raises(EventError) as caught:
        checked(tmp_path / "a.csv")
    assert says in str(caught.value) and "--time-format" in str(caught.value)
