"""sql, reconcile, deadletters: questions to the warehouse."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from headrace.cli import output
from headrace.cli.clickhouse import TABLE_FORMAT, ask, connect
from headrace.errors import SettingsError

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

letters_app = typer.Typer(help="Look at records that could not become a row.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(sql)
    app.command()(reconcile)
    app.add_typer(letters_app, name="deadletters")


def sql(
    query: Annotated[str, typer.Argument(help='SQL, or @name of a stored query ("@" lists them).')] = "",
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Read the SQL from a file.")] = None,
    param: Annotated[list[str] | None, typer.Option("--param", "-p", help="name=value for {name:Type}.")] = None,
    as_json: Json = False,
    format: Annotated[str, typer.Option("--format", help="Any of ClickHouse's output formats, passed through.")] = "",
) -> None:
    """Ask ClickHouse: a table for you, --json or --format for programs.

    \b
        headrace sql "SELECT version, count() FROM inferences_current GROUP BY version"
        headrace sql "SELECT * FROM feedback_current" --format Parquet > feedback.parquet
        headrace sql @reconcile
        headrace sql "SELECT * FROM jobs WHERE task = {task:String}" -p task=router
    """
    from headrace.settings import Settings

    if query == "@":
        from headrace.warehouse.client import query_names

        typer.echo("\n".join(query_names()))
        return
    settings = Settings.from_environ()
    parameters = dict(_pair(text) for text in param or [])
    wanted = format or ("JSONEachRow" if as_json else TABLE_FORMAT)
    answer = ask(settings, _text(query, file), wanted, parameters, sys.stdout.buffer)
    if answer is not None:
        columns = [column["name"] for column in answer["meta"]]
        output.table(columns, answer["data"])


def reconcile(as_json: Json = False) -> None:
    """Prove that nothing is lost: where every event is. Exits 1 where one is missing or duplicated.

    emitted + uncounted = stored + parked + dead_lettered + expired + erased + missing. While emitters run, what is on
    the way is missing and unacknowledged; `headrace sql @reconcile` prints the same, its text explains each figure.
    """
    found = _rows("reconcile")
    output.rows(found, as_json)
    lost = {name: sum(row[name] for row in found) for name in ("missing", "duplicated")}
    if any(lost.values()):
        typer.echo(f"headrace: {lost['missing']} events are missing, {lost['duplicated']} are duplicated", err=True)
        raise typer.Exit(1)


@letters_app.command("list")
def letters_list(
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many, newest first.")] = 50, as_json: Json = False
) -> None:
    """The newest dead letters, one line each; the first column is what `show` takes."""
    output.rows(_rows("deadletters_list", rows=limit), as_json, empty="no dead letters")


@letters_app.command("show")
def letters_show(
    place: Annotated[str, typer.Argument(help="topic/partition/offset/index, as `list` prints it.")],
    raw: Annotated[bool, typer.Option("--raw", help="Only the original bytes, for a pipe.")] = False,
) -> None:
    """One dead letter: why it was refused, and its original bytes.

    \b
        headrace deadletters show headrace.inferences/3/1042/7 --raw > record.json
    """
    from base64 import b64decode

    parts = place.rsplit("/", 3)
    if len(parts) != 4 or not all(part.lstrip("-").isdigit() for part in parts[1:]):
        raise SettingsError(f"{place!r} is not a place: write topic/partition/offset/index, as `deadletters list` does")
    topic, partition, offset, index = parts
    found = _rows("deadletters_show", topic=topic, partition=int(partition), offset=int(offset), index=int(index))
    if not found:
        raise SettingsError(f"there is no dead letter at {place}; `headrace deadletters list` shows where they are")
    original = b64decode(found[0].pop("original"))
    if raw:
        sys.stdout.buffer.write(original)
        return
    for name, value in found[0].items():
        typer.echo(f"{name:<12} {output.cell(value)}")
    typer.echo(f"\n{original.decode(errors='backslashreplace')}")


def _rows(name: str, **parameters: Any) -> list[dict[str, Any]]:
    from headrace.settings import Settings

    return connect(Settings.from_environ()).query(name, **parameters)


def _text(query: str, file: Path | None) -> str:
    from headrace.warehouse.client import query_names, query_text

    if bool(query) == bool(file):
        raise SettingsError('give one query: headrace sql "SELECT …", headrace sql -f FILE or headrace sql @NAME')
    if file:
        try:
            return file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{file} cannot be read: {error}") from None
    if not query.startswith("@"):
        return query
    if query[1:] not in query_names():
        raise SettingsError(f"there is no stored query {query}; `headrace sql @` lists them")
    return query_text(query[1:])


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise SettingsError(f"--param {text} is not name=value")
    return name, value
