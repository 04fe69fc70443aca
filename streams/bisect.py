"""One bad value makes ClickHouse refuse a whole block: halve the block until the rows at fault stand alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from headrace.errors import Permanent
from streams.decode import InsertRow

# Refusals that no row caused, ClickHouse's codes: no such table or database, no such column, no access, wrong password.
# Halving would dead-letter everything; a person has to mend the warehouse first.
NOT_THE_ROWS = frozenset({16, 60, 81, 192, 193, 194, 497, 516})


class Refused(NamedTuple):
    """A row that ClickHouse does not take, and why."""

    row: InsertRow
    error: Permanent


Insert = Callable[[Sequence[bytes]], None]
"""Stores rows, all or none; see Sink."""


def insert(into: Insert, rows: Sequence[InsertRow]) -> list[Refused]:
    """Store every row that can be stored and return the others, in their order.

    Raises Transient, and Permanent where no row is at fault; what was stored until then is stored once more then,
    which the tables' sort keys make one row again.
    """
    try:
        into([row.body for row in rows])
    except Permanent as error:
        if error.code in NOT_THE_ROWS:
            raise
        if len(rows) == 1:
            return [Refused(rows[0], error)]
        middle = len(rows) // 2
        return [*insert(into, rows[:middle]), *insert(into, rows[middle:])]
    return []
