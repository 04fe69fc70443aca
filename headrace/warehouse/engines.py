"""Gives a table another engine or partition key, which ALTER cannot: a copy that has them takes the table's place.

    the table has other ones than `schema/`         make the copy; fill it, slice by slice; exchange the two
    the table is right and there is a copy          the copy is the former table: fetch what arrived meanwhile; drop it
    the table is right and there is no copy         done

ClickHouse takes over no parts of a table with another partition key, so rows are written again: that takes as long as
inserting them, and the disk space twice. A slice is a run of ids, so long that a statement takes seconds; the copy's
comment says up to which id it is filled. A row that is copied twice is one row: the tables' keys see to that. The table
is whole at any time. What is inserted after its slice was copied is fetched by the time of its insertion, from a little
before the filling began, which the comment says, too; but first inserts in flight are waited for, since one that began
before the exchange still writes to the former table. So a preparation that is killed anywhere is finished by the next
one, and several at once do the same.

What is deleted meanwhile may come back with the copy, so the parts of the flywheel do not run then.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from headrace.errors import Permanent, Transient

if TYPE_CHECKING:
    from headrace.warehouse.client import Warehouse

# A row's time of insertion is taken when its insert begins; an insert that takes longer than this has timed out.
SLACK = timedelta(minutes=10)
# Another preparation may change the tables between a look and a step: then both are repeated.
ATTEMPTS = 20
# How long inserts in flight are waited for, and how often they are looked at.
INSERTS_END_WITHIN_S, LOOK_EACH_S = 300.0, 0.1
# No such table, one that is just dropped, or one too many; tables that do not match.
OVERTAKEN = frozenset({36, 57, 60, 122, 218})
# At most so many rows and bytes (uncompressed) are copied by one statement.
SLICE_ROWS, SLICE_BYTES = 1_000_000, 256 * 1024 * 1024
# The comment of a copy, until the comments are set, begins so; see Filled.
FILLED = "filled since"
LAST = (1 << 128) - 1
# Inserts into this database that have been in flight for so many seconds. A statement may name a database other than
# its session's. One is listed before it looks for its table, and until its rows are there.
_INSERTS = """
SELECT count() AS n FROM system.processes
WHERE query_kind IN ('Insert', 'AsyncInsertFlush') AND elapsed >= {seconds:Float64}
  AND (current_database = currentDatabase() OR position(query, currentDatabase()) > 0)
"""
_ENGINE = re.compile(r"^ENGINE = (\w+(?:\([\w, ]*\))?)", re.MULTILINE)
_PARTITION = re.compile(r"^PARTITION BY (.*?)\n(?:PRIMARY|ORDER)", re.MULTILINE | re.DOTALL)
_KEY = re.compile(r"^(?:PRIMARY KEY|ORDER BY) \(.*?(toUInt128\(\w+\))", re.MULTILINE)
_COMMENT = re.compile(r"\nCOMMENT '.*", re.DOTALL)
# What a server adds to an engine's name and parameters to keep replicas.
_REPLICAS = re.compile(r"^(?:Replicated|Shared)|'[^']*'(?:, )?")


class Form(NamedTuple):
    """What ALTER cannot change: the engine with its parameters, and the partition key as ClickHouse writes it."""

    engine: str
    partition: str


class Filled(NamedTuple):
    """What a copy's comment says. since: rows inserted from then on may be missing; upto: ids up to it are there."""

    since: str
    upto: int

    def __str__(self) -> str:
        return f"{FILLED} {self.since} up to {self.upto}"


@dataclass(frozen=True, slots=True)
class Renewal:
    """A table that shall have the form of its CREATE statement; its columns are those already.

    arrived: the column that holds the time of a row's insertion
    key: the id in the sorting key, as a number; ending: of the statement, from the engine on
    """

    warehouse: Warehouse
    table: str
    arrived: str
    key: str
    wanted: Form
    ending: str

    @classmethod
    def of(cls, warehouse: Warehouse, table: str, statement: str, arrived: str) -> Renewal:
        """Raises ValueError where the statement names no engine or no partition key, or its key has no id."""
        engine, partition, key = (found.search(statement) for found in (_ENGINE, _PARTITION, _KEY))
        if engine is None or partition is None or key is None:
            raise ValueError(f"the statement of {table} names no engine, no partition key or no id in its key")
        rows = warehouse.rows("SELECT formatQuerySingleLine({text:String}) AS text", text=f"SELECT {partition[1]}")
        wanted = Form(engine[1], rows[0]["text"])
        return cls(warehouse, table, arrived, key[1], wanted, statement[engine.start() :])

    @property
    def copy(self) -> str:
        return f"{self.table}_copy"

    def step(self) -> bool:
        """Go on from what is there; whether there is nothing left to do."""
        has = self._forms()
        if has.get(self.table) == self.wanted:
            return self.copy not in has or self._finish()
        if has.get(self.copy, self.wanted) != self.wanted:
            # Left by a preparation of a version that wanted another form.
            self.warehouse.command(f"DROP TABLE IF EXISTS {self.copy} SETTINGS max_table_size_to_drop = 0")
        self._fill()
        if self._forms() == has | {self.copy: self.wanted}:
            self.warehouse.command(f"EXCHANGE TABLES {self.table} AND {self.copy}")
        return False

    def _fill(self) -> None:
        now = self.warehouse.rows("SELECT now64(3, 'UTC') AS now")[0]["now"]
        ending = _COMMENT.sub(f"\nCOMMENT '{Filled(f'{now - SLACK:%Y-%m-%d %H:%M:%S}', 0)}'", self.ending)
        # Where one was begun before, it goes on.
        self.warehouse.command(f"CREATE TABLE IF NOT EXISTS {self.copy} AS {self.table} {ending}")
        filled = self._filled(self.copy)
        for upto in self._copied(self.table, self.copy, "1", filled.upto):
            self.warehouse.command(f"ALTER TABLE {self.copy} MODIFY COMMENT '{filled._replace(upto=upto)}'")

    def _finish(self) -> bool:
        self._await_inserts()
        arrived = f"{self.arrived} >= toDateTime64('{self._filled(self.table).since}', 3, 'UTC')"
        for _ in self._copied(self.copy, self.table, arrived):
            pass
        self.warehouse.command(f"DROP TABLE IF EXISTS {self.copy} SETTINGS max_table_size_to_drop = 0")
        return False

    def _await_inserts(self) -> None:
        """Until those have ended that are in flight now. Raises Transient where they do not end."""
        began = time.monotonic()
        while (waited := time.monotonic() - began) < INSERTS_END_WITHIN_S:
            if not self.warehouse.rows(_INSERTS, seconds=waited)[0]["n"]:
                return
            time.sleep(LOOK_EACH_S)
        raise Transient(
            f"inserts into {self.warehouse.database} that may write to the former table {self.table} have not ended"
            f" within {INSERTS_END_WITHIN_S:.0f} s; stop what inserts, and prepare the database again"
        )

    def _copied(self, source: str, target: str, condition: str, after: int = 0) -> Iterator[int]:
        """Copy the rows with ids greater than `after`, slice by slice: the last id of each."""
        names = ", ".join(self._columns(source))
        rows = self._slice_rows(source)
        while names and after < LAST:
            where = f"{self.key} > toUInt128('{after}') AND {condition}"
            found = self.warehouse.rows(
                f"SELECT {self.key} AS last FROM {source} WHERE {where} ORDER BY {self.key} LIMIT 1 OFFSET {rows}"
            )
            after = int(found[0]["last"]) if found else LAST
            self.warehouse.command(
                f"INSERT INTO {target} ({names}) SELECT {names} FROM {source}"
                f" WHERE {where} AND {self.key} <= toUInt128('{after}')"
                " SETTINGS throw_on_max_partitions_per_insert_block = 0"
            )
            yield after

    def _forms(self) -> dict[str, Form]:
        """The forms of the table and its copy, where they exist."""
        rows = self.warehouse.rows(
            "SELECT name, engine_full,"
            " formatQuerySingleLine(concat('SELECT ', if(partition_key = '', '1', partition_key))) AS partition"
            " FROM system.tables WHERE database = currentDatabase() AND name IN {names:Array(String)}",
            names=[self.table, self.copy],
        )
        return {row["name"]: Form(_plain(row["engine_full"]), row["partition"]) for row in rows}

    def _filled(self, table: str) -> Filled:
        """As the comment of a copy says, also of one that took the table's place; else that anything may be missing."""
        rows = self.warehouse.rows(
            "SELECT comment FROM system.tables WHERE database = currentDatabase() AND name = {table:String}",
            table=table,
        )
        found = re.search(rf"^{FILLED} ([\d:\- ]+) up to (\d+)$", rows[0]["comment"]) if rows else None
        return Filled(found[1], int(found[2])) if found else Filled("1970-01-01 00:00:00", 0)

    def _slice_rows(self, table: str) -> int:
        rows = self.warehouse.rows(
            "SELECT sum(rows) AS n, sum(data_uncompressed_bytes) AS size FROM system.parts"
            " WHERE database = currentDatabase() AND table = {table:String} AND active",
            table=table,
        )
        fit = SLICE_BYTES * rows[0]["n"] // max(1, rows[0]["size"])
        return max(1, min(SLICE_ROWS, int(fit)))

    def _columns(self, table: str) -> list[str]:
        """Those that take values."""
        rows = self.warehouse.rows(
            "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = {table:String}"
            " AND default_kind IN ('', 'DEFAULT') ORDER BY position",
            table=table,
        )
        return [f"`{row['name']}`" for row in rows]


def renew(warehouse: Warehouse, table: str, statement: str, arrived: str) -> None:
    """See to it that a table has the engine and partition key of its CREATE statement. Raises WarehouseError."""
    renewal = Renewal.of(warehouse, table, statement, arrived)
    for attempt in range(ATTEMPTS):
        try:
            if renewal.step():
                return
        except Permanent as error:
            if error.code not in OVERTAKEN or attempt + 1 == ATTEMPTS:
                raise


def _plain(engine: str) -> str:
    """As `schema/` writes it."""
    name = re.split(r" (?:PARTITION|ORDER|PRIMARY|SAMPLE|TTL|SETTINGS) ", engine)[0]
    return _REPLICAS.sub("", name).removesuffix("()")
