"""Data sets as the warehouse keeps them: found by what people call them, and emptied by an erasure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from headrace.errors import SettingsError
from headrace.warehouse.client import Warehouse, query_text
from headrace.warehouse.times import clickhouse_time

# Answers that one statement empties.
ANSWERS = 2_000


@dataclass(frozen=True, slots=True)
class Hole:
    """How many rows of a data set were emptied."""

    dataset: str
    rows: int


def named(warehouse: Warehouse, name: str) -> str:
    """The digest of the data set that a person means.

    name: a digest or its first six digits or more, a version that was trained on it, a task (its newest), or `latest`
    Raises SettingsError where there is none, or more than one.
    """
    found = warehouse.query("datasets/named", called=name)
    for how in ("digest", "version", "task", "latest"):
        meant = [str(row["dataset"]) for row in found if row["how"] == how]
        if how == "digest" and len(meant) > 1:
            shown = ", ".join(one[:16] for one in meant[:3])
            raise SettingsError(f"{name!r} is the beginning of several data sets: {shown}; write more of its digest")
        if meant:
            return meant[0]
    raise SettingsError(
        f"there is no data set {name!r}: write a digest (six digits or more), a version as router@3, a task, or latest;"
        " `headrace dataset list` shows what there is"
    )


def erase(warehouse: Warehouse, answers: Sequence[tuple[str, UUID]], erasure: str) -> list[Hole]:
    """Empty the rows that answers have in data sets: for the receipt, which data sets and how many rows of each.

    answers: tenant and inference_id
    erasure: what names the erasure, not empty; each emptied row keeps it, and its digest stays what it was
    Repeated, it does and returns nothing. The answers themselves, and files of a running attempt, are not its part: an
    attempt's data set is not taken over once an answer is gone. Raises WarehouseError.
    """
    if not erasure:
        raise ValueError("an erasure that empties rows has a name")
    holes: dict[str, int] = {}
    for first in range(0, len(answers), ANSWERS):
        keys = [(answer.int, tenant) for tenant, answer in answers[first : first + ANSWERS]]
        touched = warehouse.query("datasets/touched", keys=keys)
        if touched:
            at = clickhouse_time(datetime.now(UTC))
            warehouse.command(query_text("datasets/erase"), keys=keys, at=at, erasure=erasure)
        for row in touched:
            holes[row["dataset"]] = holes.get(row["dataset"], 0) + int(row["rows"])
    return [Hole(dataset, rows) for dataset, rows in sorted(holes.items())]
