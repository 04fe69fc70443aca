"""Databases as a preparation leaves them: copying one takes half of its time, emptying a copy a tenth of that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from headrace.settings import Settings
from headrace.warehouse import Warehouse
from headrace.warehouse.migration import schema

MODEL = "test_prepared_model"
MIGRATIONS = "schema_migrations"
STATE = """
SELECT name, create_table_query AS text, ifNull(total_rows, 0) > 0 AS filled,
    (SELECT count() FROM system.mutations WHERE database = currentDatabase() AND NOT is_done) AS mutations
FROM system.tables
WHERE database = currentDatabase()
"""


class Databases:
    """Prepared databases on one server: copies of a model, and copies that were lent before, emptied.

    server: settings that log in to it
    """

    def __init__(self, server: Settings) -> None:
        self._server = server
        self._model = Warehouse.connect(server.replaced(database=MODEL))
        self._model.prepare()
        self._texts = {row["name"]: row["text"] for row in self._model.rows(STATE)}
        tables, views = schema()
        self._order = [made.name for made in (*tables, *views)]
        assert sorted(self._order) == sorted(self._texts)
        self._emptied: list[Warehouse] = []

    def fresh(self) -> str:
        """The name of a new copy."""
        name = f"test_{uuid4().hex[:12]}"
        self._model.command(f"CREATE DATABASE {name}")
        for table in self._order:
            self._model.command(self._texts[table].replace(f"{MODEL}.", f"{name}."))
        self._fill_migrations(name)
        return name

    def drop(self, name: str) -> None:
        """Of a copy that nobody needs any more. A hundred that stay take half a core to look after."""
        self._model.command(f"DROP DATABASE {name}")

    @contextmanager
    def lent(self) -> Iterator[Warehouse]:
        """A client of a database without rows, until whatever writes in it has ended."""
        if not self._emptied:
            self._emptied.append(Warehouse.connect(self._server.replaced(database=self.fresh())))
        warehouse = self._emptied.pop()
        yield warehouse
        if self._empty(warehouse):
            self._emptied.append(warehouse)
        else:
            self.drop(warehouse.database)
            warehouse.close()

    def _empty(self, warehouse: Warehouse) -> bool:
        """Delete every row; False where definitions or a running mutation tell the database from a new one."""
        name = warehouse.database
        state = warehouse.rows(STATE)
        texts = {row["name"]: row["text"].replace(f"{name}.", f"{MODEL}.") for row in state}
        if texts != self._texts or any(row["mutations"] for row in state):
            return False
        for row in state:
            if row["filled"]:
                warehouse.command(f"TRUNCATE TABLE {row['name']} SYNC")
        self._fill_migrations(name)
        return True

    def _fill_migrations(self, name: str) -> None:
        self._model.command(f"INSERT INTO {name}.{MIGRATIONS} SELECT * FROM {MIGRATIONS}")
