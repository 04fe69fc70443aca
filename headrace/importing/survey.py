"""What a whole column shows before a row is sent: the order of day and month, and the mark before fractions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from headrace.errors import EventError
from headrace.importing.dates import DAY_FIRST, MONTH_FIRST, YEAR_FIRST
from headrace.importing.mapping import NUMBERS, Mapping
from headrace.importing.nested import value_at
from headrace.importing.numbers import Numbers, evidence
from headrace.importing.sources import Rows
from headrace.importing.values import plain

EVERY = 1000
# So many to one decide; fewer are no order.
_MOST = 20


@dataclass(slots=True)
class Shown:
    """How often a column shows each of two readings, and the first row that shows it."""

    times: Counter[str] = field(default_factory=Counter)
    rows: dict[str, tuple[int, str]] = field(default_factory=dict)

    def add(self, reading: str, row: int, text: str) -> None:
        """One cell."""
        self.times[reading] += 1
        self.rows.setdefault(reading, (row, text.strip()[:40]))

    def decided(self, *readings: str) -> str:
        """The reading that holds for the column; "" where no cell shows it, "both" where cells contradict."""
        most = max(readings, key=self.times.__getitem__)
        others = sum(self.times[one] for one in readings) - self.times[most]
        if not self.times[most]:
            return ""
        return "both" if others * _MOST > self.times[most] else most

    def said(self, reading: str) -> str:
        """The first cell that shows a reading."""
        row, text = self.rows[reading]
        return f"{text!r} in row {row}"


def surveyed(
    mapping: Mapping, rows: Rows, decimal: str = "", seen: Callable[[float], None] = lambda _: None
) -> tuple[Mapping, list[str]]:
    """The mapping with what the columns show, and that in words for people. Reads the whole file.

    decimal: by an option. Raises EventError where a column contradicts itself, or may mean two things.
    """
    times, numbers, found = Shown(), Shown(), list(rows.found)
    dated = [column for column, name in mapping.columns.items() if name == "occurred_at"]
    counted = [column for column, name in mapping.columns.items() if name in NUMBERS[mapping.kind]]
    twice = 0
    if dated or (counted and not decimal):
        for row in rows.read():
            if row.number % EVERY == 0:
                seen(rows.done())
            if row.fault:
                continue
            for column in dated:
                cell = _text(value_at(row.cells, column))
                if orders := mapping.times.orders(cell):
                    times.add("either" if len(orders) > 1 else next(iter(orders)), row.number, str(cell))
                twice += mapping.times.twice(cell)
            for column in counted if not decimal else ():
                cell = _text(value_at(row.cells, column))
                if not isinstance(cell, str) or ("." not in cell and "," not in cell):
                    continue
                known = mapping.words.get(mapping.columns[column], {})
                if cell not in known and (mark := evidence(cell)):
                    numbers.add(mark, row.number, cell)
    order = _order(times)
    if order:
        found.append(f"times with the {order}, as {times.said(order)} shows")
    mark = decimal or _decimal(numbers, rows.decimal)
    if decimal or numbers.times:
        found.append(f"decimal {'comma' if mark == ',' else 'point'}")
    if twice and mapping.times.zone is not None:
        found.append(
            f"{twice} times are in an hour that {mapping.times.zone.key} has twice: the first of both is taken"
        )
    return replace(mapping, times=replace(mapping.times, order=order), numbers=Numbers(mark or ".")), found


def _text(cell: Any) -> Any:
    """A cell as it is read, where it is text."""
    return plain("", cell) if isinstance(cell, str) else cell


def _order(times: Shown) -> str:
    orders = (DAY_FIRST, MONTH_FIRST, YEAR_FIRST)
    order = times.decided(*orders)
    if order == "both":
        shown = " and ".join(f"the {one} ({times.said(one)})" for one in orders if times.times[one])
        raise EventError(f"the times have {shown}: say which with --time-format")
    if not order and times.times["either"]:
        raise EventError(
            f"the time {times.said('either')} has a day and a month that may change places, and no other row shows"
            " which is which: say it with --time-format, as '%d/%m/%Y %H:%M' or '%m/%d/%Y %I:%M %p'"
        )
    return order


def _decimal(numbers: Shown, usual: str) -> str:
    mark = numbers.decided(".", ",")
    if mark == "both":
        raise EventError(
            f"the numbers have a decimal point ({numbers.said('.')}) and a decimal comma ({numbers.said(',')}):"
            " say which with --decimal"
        )
    # A point is before fractions in programs' files; a comma is a spreadsheet's, of one country or the other.
    unsure = [one for one in ("either ,", "either .") if numbers.times[one] and (one[-1] == "," or usual == ",")]
    if not mark and unsure:
        text = numbers.said(unsure[0])
        raise EventError(f"the number {text} may have a fraction or thousands: say with --decimal , or --decimal .")
    return mark or usual
