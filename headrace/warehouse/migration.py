"""Brings a database to the present schema: creates what is missing, migrates what is older, says what everything means.

In this order: the tables of `schema/` that are not there; the files of `migrations/` that this database has not seen,
each once, in the order of their numbers; engine and partition key of RENEWED where they are others (engines.py); the
comments of tables and columns where they read otherwise; tables that keep nothing, and the materialized views that take
on what is written to them, where these are not there; the other views, anew.

A new database gets the present tables, and the migrations are written down as seen.

Every statement may be repeated: `IF NOT EXISTS` stands wherever it can. So a preparation that is killed anywhere is
finished by the next one, and two at once do the same. A migration that was released is never edited: its digest would
differ from the one that the database holds.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from headrace.errors import SettingsError
from headrace.warehouse import engines

if TYPE_CHECKING:
    from headrace.warehouse.client import Warehouse

# Tables whose engine or partition key an older version made otherwise, and their column with the time of insertion.
RENEWED = {
    "inferences": "ingested_at",
    "feedback": "ingested_at",
    "expired": "expired_at",
    "expired_inferences": "expired_at",
    "parked": "known_at",
    "audit_labels": "ingested_at",
}

_VIEW = re.compile(r"CREATE OR REPLACE VIEW (\w+) AS\n(.*)", re.DOTALL)
_FEED = re.compile(r"CREATE MATERIALIZED VIEW IF NOT EXISTS (\w+) TO (\w+) AS\n(.*)", re.DOTALL)
_TABLE = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+)")
_COMMENT = re.compile(r"COMMENT '((?:[^']|'')*)'")
_COLUMN = re.compile(r"^    (\w+) +.*?" + _COMMENT.pattern, re.MULTILINE)
_PARAMETER = re.compile(r"\{(\w+):([^{}]+)\}")
_NAMED = re.compile(r"\b(?:FROM|JOIN)\s+(\w+)")


@dataclass(frozen=True, slots=True)
class Migration:
    """A file of `migrations/`.

    digest: SHA-256 of its statements, comments and blanks left out
    """

    name: str
    statements: tuple[str, ...]

    @property
    def digest(self) -> str:
        lines = (re.sub(r"--.*", "", line) for statement in self.statements for line in statement.splitlines())
        return hashlib.sha256(" ".join(" ".join(lines).split()).encode()).hexdigest()

    @property
    def row(self) -> bytes:
        """Of `schema_migrations`: that the database has seen it."""
        return json.dumps({"name": self.name, "digest": self.digest}).encode()


@dataclass(frozen=True, slots=True)
class SchemaTable:
    """A table as `schema/` has it: the comment above it, and its statement."""

    name: str
    head: str
    statement: str

    @property
    def words(self) -> str:
        """What it is: its COMMENT, or else the comment above it."""
        found = re.search(r"^" + _COMMENT.pattern, self.statement, re.MULTILINE)
        return _unquoted(found[1]) if found else _prose(self.head)

    @property
    def columns(self) -> dict[str, str]:
        return {found[1]: _unquoted(found[2]) for found in _COLUMN.finditer(self.statement)}

    @property
    def keeps(self) -> bool:
        """Whether its rows stay; else materialized views take them on, and without these they are lost."""
        return "\nENGINE = Null" not in self.statement


@dataclass(frozen=True, slots=True)
class View:
    """A view as `schema/` has it.

    head: the comment above it; its lines `--   column: meaning` are about a column, the others about the view
    select: its text
    target: of a materialized view the table that it writes. It is made once: a migration drops what shall be made
        otherwise, while nothing is written to what it reads
    """

    name: str
    head: str
    select: str
    target: str = ""

    @property
    def words(self) -> str:
        return _prose(self.head)

    @property
    def parameters(self) -> dict[str, str]:
        """Type by name: `{name:Type}` in the text. Such a view is asked as view(name=value)."""
        return dict(_PARAMETER.findall(self.select))

    @property
    def columns(self) -> dict[str, str]:
        """The columns that the comment explains; a line that is set in further goes on with the one above it."""
        lines = "\n".join(line[5:] for line in self.head.splitlines() if line.startswith("--   "))
        pairs = (line.partition(": ") for line in re.sub(r"\n +", " ", lines).splitlines())
        return {name: meaning for names, _, meaning in pairs for name in names.split(", ")}


def prepare(warehouse: Warehouse) -> None:
    """Raises SettingsError, before anything is changed, where a newer version wrote the database."""
    made, views = schema()
    tables = [table for table in made if table.keeps]
    warehouse.command(tables[0].statement)
    _apply(warehouse, tables)
    for table in tables:
        if table.name in RENEWED:
            engines.renew(warehouse, table.name, table.statement, RENEWED[table.name])
    _comment(warehouse, tables)
    _feed(warehouse, [table for table in made if not table.keeps], [view for view in views if view.target])
    _create(warehouse, tables, [view for view in views if not view.target])


def schema() -> tuple[list[SchemaTable], list[View]]:
    """Tables and views of `schema/`, in the order of their making."""
    tables: list[SchemaTable] = []
    views: list[View] = []
    for statement in _statements("schema"):
        head, text = _parted(statement[1])
        if view := _VIEW.match(text):
            views.append(View(view[1], head, view[2]))
        elif feed := _FEED.match(text):
            views.append(View(feed[1], head, feed[3], feed[2]))
        elif table := _TABLE.match(text):
            tables.append(SchemaTable(table[1], head, text))
        else:
            raise ValueError(f"schema/{statement[0]}.sql holds neither a table nor a view: {text[:60]!r}")
    return tables, views


def migrations() -> list[Migration]:
    """The files of `migrations/`, in the order of their numbers."""
    found: dict[str, list[str]] = {}
    for name, statement in _statements("migrations"):
        found.setdefault(name, []).append(statement)
    return [Migration(name, tuple(statements)) for name, statements in found.items()]


def _apply(warehouse: Warehouse, tables: list[SchemaTable]) -> None:
    known = {migration.name: migration for migration in migrations()}
    applied = {row["name"]: row["digest"] for row in warehouse.query("warehouse/migrations_applied")}
    if newer := sorted(set(applied) - set(known)):
        raise SettingsError(
            f"the database {warehouse.database} was written by a newer headrace: it has the migration {newer[-1]}, "
            "which is not known here; install that version, or name another database in HEADRACE_DATABASE"
        )
    if edited := sorted(name for name in applied if applied[name] != known[name].digest):
        raise SettingsError(
            f"the database {warehouse.database} has another {edited[0]} than this headrace: a migration that ran is "
            "never edited; restore the file, and write what else it should do into a new one"
        )
    # Before the first table: a preparation that is killed then goes on as in a new database.
    if warehouse.query("warehouse/migrations_needless")[0]["needless"]:
        warehouse.insert("schema_migrations", [migration.row for migration in known.values()])
        applied |= {name: migration.digest for name, migration in known.items()}
    for table in tables:
        warehouse.command(table.statement)
    for name, migration in known.items():
        if name not in applied:
            for statement in migration.statements:
                warehouse.command(statement)
            warehouse.insert("schema_migrations", [migration.row])


def _comment(warehouse: Warehouse, tables: list[SchemaTable]) -> None:
    """Set the comments that read otherwise: a database of an older version has none, or others."""
    found: dict[str, dict[str, str]] = {}
    for row in warehouse.query("warehouse/schema_comments"):
        found.setdefault(row["table"], {})[row["column"]] = row["comment"]
    for table in tables:
        wanted = table.columns.items() | {("", table.words)}
        changes = [
            f"MODIFY COMMENT {_quoted(words)}" if not column else f"COMMENT COLUMN `{column}` {_quoted(words)}"
            for column, words in sorted(wanted - found[table.name].items())
        ]
        if changes:
            warehouse.command(f"ALTER TABLE {table.name} {', '.join(changes)}")


def _feed(warehouse: Warehouse, tables: list[SchemaTable], views: list[View]) -> None:
    """Make the tables that keep nothing and, at once, the materialized views that take on what is written to them."""
    for table in tables:
        warehouse.command(table.statement)
    for view in views:
        made = f"CREATE MATERIALIZED VIEW IF NOT EXISTS {view.name} TO {view.target}"
        warehouse.command(f"{made} AS {view.select}\nCOMMENT {_quoted(view.words)}")


def _create(warehouse: Warehouse, tables: list[SchemaTable], views: list[View]) -> None:
    """Make the views, each with what its columns mean: as its comment says, or as the tables say that it reads."""
    known = {table.name: table.columns for table in tables}
    for view in views:
        known[view.name] = dict(_meanings(view, known))
        columns = [
            f"`{row['name']}` {row['type']} COMMENT {_quoted(known[view.name].get(row['name'], ''))}"
            # What takes parameters has no columns until it is given them.
            for row in (warehouse.rows(f"DESCRIBE TABLE ({view.select}\n)") if not view.parameters else ())
        ]
        listed = f" ({', '.join(columns)})" if columns else ""
        warehouse.command(f"CREATE OR REPLACE VIEW {view.name}{listed} AS {view.select}\nCOMMENT {_quoted(view.words)}")


def _meanings(view: View, known: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    for name in reversed(_NAMED.findall(view.select)):
        yield from known.get(name, {}).items()
    yield from view.columns.items()


def _statements(folder: str) -> Iterator[tuple[str, str]]:
    """Each statement of a folder's files with the name of its file, files in the order of their names."""
    files = (resources.files("headrace.warehouse") / folder).iterdir()
    for file in sorted((file for file in files if file.name.endswith(".sql")), key=lambda file: file.name):
        for statement in file.read_text("utf-8").split(";\n"):
            if _parted(statement)[1]:
                yield file.name.removesuffix(".sql"), statement.strip().removesuffix(";")


def _parted(statement: str) -> tuple[str, str]:
    """The last block of comment lines above a statement, and the statement."""
    lines = statement.strip().splitlines()
    first = next(
        (number for number, line in enumerate(lines) if line.strip() and not line.startswith("--")), len(lines)
    )
    above, text = "\n".join(lines[:first]).strip(), "\n".join(lines[first:])
    return re.split(r"\n\s*\n", above)[-1], text.strip()


def _prose(head: str) -> str:
    return " ".join(line.removeprefix("-- ") for line in head.splitlines() if not line.startswith("--   "))


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def _unquoted(text: str) -> str:
    return text.replace("''", "'").replace("\\\\", "\\")
