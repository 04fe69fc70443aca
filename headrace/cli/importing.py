"""import: what a company has already, as events."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli.caller import permitted
from headrace.cli.import_progress import Bar, standard_input, tell
from headrace.errors import EventError, SettingsError

if TYPE_CHECKING:
    from headrace.access.roles import Principal
    from headrace.importing import Import, Summary
    from headrace.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("import")(import_file)


def import_file(
    file: Annotated[
        Path,
        typer.Argument(help="CSV, TSV, JSON, JSON lines (also packed), Parquet, Arrow or .xlsx; - is standard input."),
    ],
    kind: Annotated[str, typer.Option("--as", help="What a row is: feedback or inferences.")],
    columns: Annotated[list[str] | None, typer.Option("--map", help="COLUMN=FIELD, as often as needed.")] = None,
    constants: Annotated[list[str] | None, typer.Option("--set", help="FIELD=VALUE, the same in every row.")] = None,
    words: Annotated[
        list[str] | None,
        typer.Option("--word", help="FIELD:TEXT=VALUE: what a text in the file stands for; * is any other."),
    ] = None,
    id_column: Annotated[str, typer.Option("--id", help="The column that identifies a row where it comes from.")] = "",
    zone: Annotated[str, typer.Option(help="Of times that name no zone, as Europe/Berlin.")] = "",
    time_format: Annotated[
        str, typer.Option(help="As in strptime, where a time can mean two; %z reads any zone. Or excel-1904.")
    ] = "",
    task: Annotated[str, typer.Option(help="Short for --set task=…")] = "",
    source: Annotated[str, typer.Option(help="Short for --set source=…; outcome: the business's own systems.")] = "",
    signal: Annotated[str, typer.Option(help="Short for --set signal=…")] = "",
    tenant: Annotated[str, typer.Option(help="Short for --set tenant=…")] = "",
    encoding: Annotated[str, typer.Option(help="Of a text file, as windows-1252; else its mark's, or UTF-8.")] = "",
    delimiter: Annotated[str, typer.Option(help="Of a CSV file; else found among , ; tab and |.")] = "",
    decimal: Annotated[str, typer.Option(help="The mark before fractions, . or , ; else as the column shows it.")] = "",
    header_row: Annotated[
        int, typer.Option(help="The line of the header; else the first that has the named columns.", min=0)
    ] = 0,
    sheet: Annotated[str, typer.Option(help="Of a workbook; else the first that has the named columns.")] = "",
    records: Annotated[str, typer.Option(help="The path of the list of rows in a JSON document, as data.items.")] = "",
    url: Annotated[str, typer.Option(help="A gateway to send to by the key HEADRACE_KEY, instead of Kafka.")] = "",
    rejected: Annotated[Path | None, typer.Option(help="Where rejected rows are written, JSON lines.")] = None,
    again: Annotated[
        bool, typer.Option("--again", help="From the first row on, though it was imported before.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check every row, show the first events, send nothing.")
    ] = False,
) -> None:
    """Import feedback or inferences that a company has already.

    A column that is named like a field means it; --map says what the others mean, `headrace schema feedback` lists the
    fields. Feedback names its answer by inference_id, response_id, span_id, trace_id or session_id. Which team closed
    a ticket is the label that an answer should have had:

    \b
        headrace import tickets.csv --as feedback --id ticket --source outcome --signal label --task router \\
            --map closed_at=occurred_at --zone Europe/Berlin --map conversation=session_id \\
            --map team=label --word "label:Human Resources=hr" --word "label:Service Desk=it"

    \b
        headrace import form.parquet --as feedback --source user --signal thumb --map answer=response_id \\
            --map submitted=occurred_at --map happy=value --word value:yes=1 --word value:no=-1 --dry-run

    \b
        headrace import answers.jsonl --as inferences --id request --task router --set version=router@0 \\
            --map ts=occurred_at --map question=input --map routed_to=label

    \b
        headrace import umfrage.csv --as feedback --source user --signal rating --id Ticket --encoding windows-1252 \\
            --map Erledigt=occurred_at --zone Europe/Berlin --map Gespräch=session_id --map Zufriedenheit=value

    \b
        zcat traces.json.gz | headrace import - --as inferences --records data --set task=router \\
            --map model=version --map timestamp=occurred_at --map input.messages=input --map user.id=user_ref

    The whole file is looked at before a row is sent: its encoding, its header, whether 3/2/2026 has the day or the
    month first, whether 4,5 has a fraction. What cannot be known is asked for; --dry-run shows what was found. COLUMN
    may be a path into JSON or Parquet, as user.id or choices.0.message.content.

    A row gets its id from --id, or from its content, and its time: importing it again stores nothing twice. An import
    that was stopped, by any means, goes on where it was when the same command runs again; a file that has grown goes on
    where it ended; a last line without its end is left for the next run where it is not whole. A row that the holder of
    HEADRACE_KEY may not send is rejected, as a wrong one is. Exit code 1: rows were rejected, and the report says which
    and why.
    """
    from headrace.importing import Import, Mapping, Reading, open_rows
    from headrace.importing.mapping import KINDS

    if kind not in KINDS:
        raise EventError(f"--as {kind}: a row is one of {' and '.join(sorted(KINDS))}")
    if decimal not in ("", ".", ","):
        raise EventError(f"--decimal {decimal}: it is a point or a comma")
    settings, principal = _importer(bool(url))
    short = {"task": task, "source": source, "signal": signal, "tenant": tenant}
    mapping = Mapping(
        kind,
        _pairs("--map", columns or []),
        _pairs("--set", constants or []) | {name: text for name, text in short.items() if text},
        _words(words or []),
        id_column,
        _times(zone, time_format),
    )
    reading = Reading(encoding, delimiter, header_row, sheet, records, mapping.names)
    with standard_input(file) as (file, content), Bar(file.name) as bar:
        rows = open_rows(file, reading, bar.look)
        mapping = mapping.completed(file.name, rows.columns)
        read = [text for text in (*astuple(reading)[:-1], decimal) if text]
        where = [content or str(file.resolve()), mapping.digest(), url or settings.kafka, *map(str, read)]
        name = hashlib.sha256("\x1f".join(where).encode()).hexdigest()[:16]
        state = settings.home / "import" / f"{file.name}.{name}.json"
        report = rejected or state.with_suffix(".rejected.jsonl")
        whole = Import(file, rows, mapping, state, report, principal, decimal)
        if dry_run:
            summary, first = whole.check(bar.move)
        else:
            summary, first = _sent(whole, settings, url, again, bar), []
    for event in first:
        typer.echo(event.to_json())
    tell(summary, whole, dry_run)
    if summary.rejected:
        raise typer.Exit(1)


def _importer(by_gateway: bool) -> tuple[Settings, Principal | None]:
    """Settings, and whose the rows are; None where only the gateway that they go to knows the key."""
    from headrace.access.key_ring import KeyRing
    from headrace.settings import Settings

    settings = Settings.from_environ()
    key = settings.key.get_secret_value()
    if by_gateway:
        # The gateway knows the key; where this machine does too, what it may not say is rejected here.
        with contextlib.suppress(SettingsError):
            return settings, KeyRing(settings.keys).find(key) if key else None
        return settings, None
    if key and not settings.keys.exists():
        raise EventError(
            f"HEADRACE_KEY is no key of this machine, which has no {settings.keys}; --url with the address of the"
            f" gateway sends by it, as --url {settings.gateway}"
        )
    return permitted("import", "ingest", "outcome", "review")


def _sent(whole: Import, settings: Settings, url: str, again: bool, bar: Bar) -> Summary:
    import asyncio

    from headrace.client import AsyncClient

    async def send() -> Summary:
        key = settings.key.get_secret_value()
        reached: dict[str, Any] = {"url": url, "key": key} if url else {"settings": settings}
        async with AsyncClient(**reached, emitter="import") as client:
            return await whole.run(client.send, again, bar.move)

    return asyncio.run(send())


def _pairs(option: str, texts: list[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        left, equals, right = text.rpartition("=") if option == "--map" else text.partition("=")
        if not (left and equals and (right or option == "--set")):
            wanted = "COLUMN=FIELD" if option == "--map" else "FIELD=VALUE"
            raise EventError(f"{option} {text}: it takes {wanted}")
        if pairs.get(left, right) != right:
            raise EventError(f"{option} {text}: {left} is {pairs[left]} already")
        if option == "--map" and right in pairs.values() and left not in pairs:
            other = next(column for column, name in pairs.items() if name == right)
            raise EventError(f"{option} {text}: {right} comes from {other} already")
        pairs[left] = right
    return pairs


def _words(given: list[str]) -> dict[str, dict[str, str]]:
    words: dict[str, dict[str, str]] = {}
    for text in given:
        field, colon, rest = text.partition(":")
        word, equals, value = rest.rpartition("=")
        if not (field and colon and word and equals):
            raise EventError(f"--word {text}: it takes FIELD:TEXT=VALUE, as in value:yes=1")
        words.setdefault(field, {})[word] = value
    return words


def _times(zone: str, time_format: str) -> Any:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    from headrace.importing.times import Times

    try:
        return Times(ZoneInfo(zone) if zone else None, time_format)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise EventError(f"--zone {zone}: there is no such time zone; write it as Europe/Berlin or UTC") from None
