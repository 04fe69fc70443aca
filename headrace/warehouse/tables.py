"""Whole tables out of the warehouse and into it again, in pieces that one insert takes."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from headrace.warehouse.client import Warehouse

PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Dumped:
    """A table as it is written out.

    columns: those that take values; rows, size: of all its parts, bytes uncompressed
    key: its sorting key, by which pieces are cut
    half: a killed preparation left rows of it in another table
    """

    name: str
    columns: tuple[str, ...]
    rows: int
    size: int
    key: str
    half: bool

    def chunks(self, most_bytes: int) -> int:
        """In how many pieces; 0 for an empty table."""
        return 0 if not self.rows else 1 + self.size // most_bytes if self.key else 1


def dumped_tables(warehouse: Warehouse) -> list[Dumped]:
    """The tables of the database; views, and copies that a killed preparation left, left out."""
    return [
        Dumped(
            str(row["table"]),
            tuple(row["columns"]),
            int(row["rows"]),
            int(row["size"]),
            str(row["key"]),
            bool(row["half"]),
        )
        for row in warehouse.query("warehouse/backup_tables")
    ]


def dump(warehouse: Warehouse, table: Dumped, number: int, of: int) -> Iterator[bytes]:
    """One piece of a table, in the format Native. Raises WarehouseError."""
    names = ", ".join(f"`{column}`" for column in table.columns)
    where = f" WHERE sipHash64({table.key}) % {of} = {number}" if of > 1 else ""
    yield from warehouse.stream(f"SELECT {names} FROM `{table.name}`{where} FORMAT Native")


def dumped_migrations(warehouse: Warehouse, data: IO[bytes]) -> set[str]:
    """The names in such a piece of `schema_migrations`. Raises WarehouseError."""
    text = b64encode(data.read()).decode()
    rows = warehouse.rows("SELECT name FROM format(Native, base64Decode({data:String}))", data=text)
    return {str(row["name"]) for row in rows}


def load(warehouse: Warehouse, table: str, data: IO[bytes]) -> None:
    """Insert such a piece; columns that the table does not have any more are an error. Raises WarehouseError."""
    warehouse.insert_native(table, iter(lambda: data.read(PIECE_BYTES), b""))
