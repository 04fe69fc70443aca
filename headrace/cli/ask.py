"""sql, reconcile: questions to the warehouse."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from headrace.cli import output
from headrace.cli.caller import permitted
from headrace.cli.clickhouse import TABLE_FORMAT, ask, connect
from headrace.errors import SettingsError

# What a file's name says about its format.
FORMATS = {
    ".csv": "CSVWithNames",
    ".tsv": "TSVWithNames",
    ".parquet": "Parquet",
    ".arrow": "Arrow",
    ".json": "JSON",
    ".jsonl": "JSONEachRow",
}

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(sql)
    app.command()(reconcile)


def sql(
    query: Annotated[str, typer.Argument(help='SQL, or @name of a stored query ("@" lists them).')] = "",
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="Read the SQL from a file; -: standard input.")
    ] = None,
    param: Annotated[list[str] | None, typer.Option("--param", "-p", help="name=value for {name:Type}.")] = None,
    as_json: Json = False,
    format: Annotated[str, typer.Option("--format", help="Any of ClickHouse's output formats, passed through.")] = "",
    to: Annotated[Path | None, typer.Option("--output", "-o", help="Write to .csv, .tsv, .parquet, .jsonl, …")] = None,
    as_owner: Annotated[bool, typer.Option("--as-owner", help="Log in as the parts do: no limits, may write.")] = False,
) -> None:
    """Ask ClickHouse: a table for you, --json or --format for programs. It reads as the user analyst, within limits.

    \b
        headrace sql "SELECT version, count() FROM inferences_current GROUP BY version"
        headrace sql "SELECT * FROM feedback_current" --output feedback.parquet
        headrace sql @reconcile
        headrace sql "SELECT * FROM jobs WHERE task = {task:String}" -p task=router
    """
    if query == "@":
        from headrace.warehouse.client import query_names

        typer.echo("\n".join(query_names()))
        return
    # What a query may write is ClickHouse's to say; to log in as the parts do is more than reading.
    settings, _ = permitted("sql --as-owner", "operate") if as_owner else permitted("sql", "read")
    parameters = dict(_pair(text) for text in param or [])
    wanted = format or ("JSONEachRow" if as_json else _format_of(to) if to else TABLE_FORMAT)
    text, where = _text(query, file), _where(query, file)
    if to:
        with _whole(to) as out:
            ask(settings, text, wanted, parameters, out, as_owner, where)
        return
    answer = ask(settings, text, wanted, parameters, sys.stdout.buffer, as_owner, where)
    if answer is not None:
        columns = [column["name"] for column in answer["meta"]]
        output.table(columns, answer["data"])


def reconcile(
    by: Annotated[str, typer.Option("--by", help="emitter, hour, or emitter,hour: who lost what, and when.")] = "",
    since: Annotated[str, typer.Option("--since", help="With --by: only hours from this time on, in UTC.")] = "",
    full: Annotated[bool, typer.Option("--full", help="Read all of history anew.")] = False,
    as_json: Json = False,
) -> None:
    """Prove that nothing is lost: where every event is. Exits 1 where one is missing or duplicated.

    emitted + uncounted = stored + parked + dead_lettered + expired + erased + repeated + missing. repeated: another
    emitter sent it too, and it is counted there. While emitters run, what is on the way is missing and unacknowledged;
    `headrace sql @reconcile` prints the same, its text explains each figure.
    Topics are checked by their offsets, too: what no row and no dead letter accounts for is named.

    \b
        headrace reconcile --by emitter,hour --since 2026-01-31T08:00
    """
    names = [name.strip() for name in by.split(",") if name.strip()]
    wrong = next((name for name in names if name not in ("emitter", "hour")), None)
    if wrong is not None:
        raise SettingsError(f"--by takes emitter, hour or both, not {wrong!r}")
    if full and names:
        raise SettingsError("--full gives the totals alone; leave out --by, which is always exact")
    total = _rows("cli/reconcile_full" if full else "cli/reconcile")
    gaps = _rows("cli/reconcile_gaps")
    if names:
        bounds = {"by_emitter": int("emitter" in names), "by_hour": int("hour" in names), "since": moment(since)}
        output.rows(_rows("cli/reconcile_by", **bounds), as_json, empty="no event was ever counted or stored")
    else:
        output.rows(total, as_json)
    if gaps and not as_json:
        typer.echo()
        output.rows(gaps, as_json=False)
    lost = {name: sum(row[name] for row in total) for name in ("missing", "duplicated")}
    if any(lost.values()):
        typer.echo(f"headrace: {lost['missing']} events are missing, {lost['duplicated']} are duplicated", err=True)
    if gaps:
        typer.echo(f"headrace: {len(gaps)} runs of offsets are not accounted for", err=True)
    if gaps or any(lost.values()):
        raise typer.Exit(1)


def _rows(name: str, **parameters: Any) -> list[dict[str, Any]]:
    settings, _ = permitted("reconcile", "read")
    # All of history may take minutes.
    patience_s = 3600 if name == "cli/reconcile_full" else 120
    return connect(settings, patience_s).query(name, **parameters)


def moment(text: str) -> str:
    """A time as a bound DateTime parameter takes it; the year 2000 for none. A time without a zone is UTC."""
    from datetime import UTC, datetime

    try:
        found = datetime.fromisoformat(text) if text else datetime(2000, 1, 1)
    except ValueError:
        raise SettingsError(f"{text!r} is not a time; write it as in 2026-01-31 or 2026-01-31T08:00:00Z") from None
    found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    return found.strftime("%Y-%m-%d %H:%M:%S")


def _text(query: str, file: Path | None) -> str:
    from headrace.warehouse.client import query_names, query_text

    if bool(query) == bool(file):
        raise SettingsError('give one query: headrace sql "SELECT …", headrace sql -f FILE or headrace sql @NAME')
    if file:
        try:
            return sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{file} cannot be read: {error}") from None
    if not query.startswith("@"):
        return query
    asked = query[1:]
    found = [name for name in query_names() if asked in (name, name.rpartition("/")[2])]
    if len(found) > 1:
        raise SettingsError(f"{query} is the name of several stored queries; say which: @{', @'.join(found)}")
    if not found:
        raise SettingsError(f"there is no stored query {query}; `headrace sql @` lists them")
    return query_text(found[0])


def _where(query: str, file: Path | None) -> str:
    """What a complaint calls the query."""
    if file:
        return "standard input" if str(file) == "-" else str(file)
    return query if query.startswith("@") else "the query"


def _format_of(file: Path) -> str:
    try:
        return FORMATS[file.suffix.lower()]
    except KeyError:
        known = ", ".join(FORMATS)
        raise SettingsError(f"{file} does not say what it holds: name it {known}, or give --format") from None


@contextmanager
def _whole(file: Path) -> Iterator[BinaryIO]:
    """A file that is there under its name when all of it is written, and not before."""
    part = file.with_name(f"{file.name}.part")
    try:
        with part.open("wb") as out:
            yield out
        part.replace(file)
    except OSError as error:
        raise SettingsError(f"{file} cannot be written: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise SettingsError(f"--param {text} is not name=value")
    return name, value
