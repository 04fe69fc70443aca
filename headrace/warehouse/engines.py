"""Gives a table another engine or partition key, which ALTER cannot: a copy that has them takes the table's place.

    the table has others than `schema/`             make the copy; fill it, month by month; exchange the two
    the table is right and there is a copy          the copy is the former table: fetch what arrived meanwhile; drop it
    the table is right and there is no copy         done

A month is filled with the parts of the table themselves (REPLACE PARTITION links to the same files), so it takes
milliseconds whatever is in it, and repeated it comes to the same. Parts fit no other partition key: then the rows are
written again, partition by partition. The table is whole at any time. What is inserted
after its month was filled is fetched by the time of its insertion, from a little before the filling began, which is
the copy's comment; a row that is fetched twice is one row. So a preparation that is killed anywhere is finished by
the next one, and several at once do the same.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from headrace.errors import Permanent

if TYPE_CHECKING:
    from headrace.warehouse.client import Warehouse

# A row's ingested_at is taken when its insert begins; an insert that takes longer than this has timed out.
SLACK = timedelta(minutes=10)
# Another preparation may change the tables between a look and a step: then both are repeated.
ATTEMPTS = 20
# No such table, or one too many; tables that do not match.
OVERTAKEN = frozenset({36, 57, 60, 122})
# The comment of a copy, until the comments are set: since when rows may be missing in it.
FILLED = "filled since"
_ENGINE = re.compile(r"^ENGINE = (\w+(?:\([\w, ]*\))?)(?:\nPARTITION BY ([^\n]*))?", re.MULTILINE)
# What a server adds to an engine's name and parameters to keep replicas.
_REPLICAS = re.compile(r"^(?:Replicated|Shared)|'[^']*'(?:, )?")


class Form(NamedTuple):
    """What ALTER cannot change. partition: the key's expression; empty where there is none"""

    engine: str
    partition: str


def renew(warehouse: Warehouse, table: str, statement: str) -> None:
    """See to it that `table` has the engine and partition key of its CREATE statement; its columns are those already.

    The table has a column ingested_at, and its key makes one row of two copies. Of the engine, its name and parameters
    are compared. Raises WarehouseError.
    """
    found = _ENGINE.search(statement)
    if found is None:
        raise ValueError(f"the statement of {table} names no engine")
    for attempt in range(ATTEMPTS):
        try:
            if _step(warehouse, table, Form(found[1], found[2] or ""), statement[found.start() :]):
                return
        except Permanent as error:
            if error.code not in OVERTAKEN or attempt + 1 == ATTEMPTS:
                raise


def _step(warehouse: Warehouse, table: str, wanted: Form, ending: str) -> bool:
    """Whether there is nothing left to do.

    ending: of the CREATE statement, from its engine on
    """
    copy = f"{table}_copy"
    has = _forms(warehouse, table, copy)
    if has.get(table) != wanted:
        if has.get(copy, wanted) != wanted:
            # Left by a preparation of a version that wanted another form.
            warehouse.command(f"DROP TABLE IF EXISTS {copy}")
        now = warehouse.rows("SELECT now64(3, 'UTC') AS now")[0]["now"]
        ending = re.sub(
            r"\nCOMMENT '.*", f"\nCOMMENT '{FILLED} {now - SLACK:%Y-%m-%d %H:%M:%S}'", ending, flags=re.DOTALL
        )
        # Where one was begun before, its time counts.
        warehouse.command(f"CREATE TABLE IF NOT EXISTS {copy} AS {table} {ending}")
        for month in _months(warehouse, table):
            if table in has and has[table].partition == wanted.partition:
                warehouse.command(f"ALTER TABLE {copy} REPLACE PARTITION ID '{month}' FROM {table}")
            else:
                _write(warehouse, copy, table, f"_partition_id = '{month}'")
        if _forms(warehouse, table, copy) == has | {copy: wanted}:
            warehouse.command(f"EXCHANGE TABLES {table} AND {copy}")
        return False
    if copy in has:
        if _columns(warehouse, copy):
            since = f"toDateTime64('{_filled_since(warehouse, table)}', 3, 'UTC')"
            _write(warehouse, table, copy, f"ingested_at >= {since}")
            warehouse.command(f"DROP TABLE IF EXISTS {copy} SETTINGS max_table_size_to_drop = 0")
        return False
    return True


def _filled_since(warehouse: Warehouse, table: str) -> str:
    """As the copy says that took the table's place."""
    rows = warehouse.rows(
        "SELECT comment FROM system.tables WHERE database = currentDatabase() AND name = {table:String}", table=table
    )
    found = re.search(rf"^{FILLED} ([\d:\- ]+)$", rows[0]["comment"]) if rows else None
    return found[1] if found else "1970-01-01 00:00:00"


def _write(warehouse: Warehouse, target: str, source: str, condition: str) -> None:
    """Rows of one table into another."""
    names = ", ".join(_columns(warehouse, source))
    warehouse.command(
        f"INSERT INTO {target} ({names}) SELECT {names} FROM {source} WHERE {condition}"
        " SETTINGS throw_on_max_partitions_per_insert_block = 0"
    )


def _forms(warehouse: Warehouse, *tables: str) -> dict[str, Form]:
    """Of those tables that exist; engines with their parameters."""
    rows = warehouse.rows(
        "SELECT name, engine_full, partition_key FROM system.tables"
        " WHERE database = currentDatabase() AND name IN {names:Array(String)}",
        names=list(tables),
    )
    return {row["name"]: Form(_plain(row["engine_full"]), row["partition_key"]) for row in rows}


def _plain(engine: str) -> str:
    """As `schema/` writes it."""
    name = re.split(r" (?:PARTITION|ORDER|PRIMARY|SAMPLE|TTL|SETTINGS) ", engine)[0]
    return _REPLICAS.sub("", name).removesuffix("()")


def _months(warehouse: Warehouse, table: str) -> list[str]:
    rows = warehouse.rows(
        "SELECT DISTINCT partition_id FROM system.parts"
        " WHERE database = currentDatabase() AND table = {table:String} AND active ORDER BY partition_id",
        table=table,
    )
    return [row["partition_id"] for row in rows]


def _columns(warehouse: Warehouse, table: str) -> list[str]:
    """Those that take values."""
    rows = warehouse.rows(
        "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = {table:String}"
        " AND default_kind IN ('', 'DEFAULT') ORDER BY position",
        table=table,
    )
    return [f"`{row['name']}`" for row in rows]
