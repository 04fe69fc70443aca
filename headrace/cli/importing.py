"""import: what a company has already, as events."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli.caller import permitted
from headrace.errors import EventError
from headrace.places import SPAN

if TYPE_CHECKING:
    from headrace.access.roles import Principal
    from headrace.importing import Import, Summary
    from headrace.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("import")(import_file)


def import_file(
    file: Annotated[Path, typer.Argument(help="CSV, TSV or JSON lines (also .gz), or Parquet; the name says which.")],
    kind: Annotated[str, typer.Option("--as", help="What a row is: feedback or inferences.")],
    columns: Annotated[list[str] | None, typer.Option("--map", help="COLUMN=FIELD, as often as needed.")] = None,
    constants: Annotated[list[str] | None, typer.Option("--set", help="FIELD=VALUE, the same in every row.")] = None,
    words: Annotated[
        list[str] | None,
        typer.Option("--word", help="FIELD:TEXT=VALUE: what a text in the file stands for; * is any other."),
    ] = None,
    id_column: Annotated[str, typer.Option("--id", help="The column that identifies a row where it comes from.")] = "",
    zone: Annotated[str, typer.Option(help="Of times that name no zone, as Europe/Berlin.")] = "",
    time_format: Annotated[str, typer.Option(help="As in strptime, where times are not ISO 8601.")] = "",
    task: Annotated[str, typer.Option(help="Short for --set task=…")] = "",
    source: Annotated[str, typer.Option(help="Short for --set source=…; outcome: the business's own systems.")] = "",
    signal: Annotated[str, typer.Option(help="Short for --set signal=…")] = "",
    tenant: Annotated[str, typer.Option(help="Short for --set tenant=…")] = "",
    delimiter: Annotated[str, typer.Option(help="Of a CSV file; found by its first line.")] = "",
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

    A row gets its id from --id, or from its content, and its time: importing it again stores nothing twice. An import
    that was stopped, by any means, goes on where it was when the same command runs again; a file that has grown goes on
    where it ended. A row that the holder of HEADRACE_KEY may not send is rejected, as a wrong one is. Exit code 1: rows
    were rejected, and the report says which and why.
    """
    from headrace.importing import Import, Mapping, open_rows
    from headrace.importing.mapping import KINDS

    if kind not in KINDS:
        raise EventError(f"--as {kind}: a row is one of {' and '.join(sorted(KINDS))}")
    settings, principal = _importer(bool(url))
    short = {"task": task, "source": source, "signal": signal, "tenant": tenant}
    mapping = Mapping(
        kind,
        dict(_pair("--map", text) for text in columns or []),
        dict(_pair("--set", text) for text in constants or []) | {name: text for name, text in short.items() if text},
        _words(words or []),
        id_column,
        _times(zone, time_format),
    )
    rows = open_rows(file, delimiter)
    mapping = mapping.completed(file.name, rows.columns)
    name = hashlib.sha256(f"{file.resolve()}\x1f{mapping.digest()}\x1f{url or settings.kafka}".encode()).hexdigest()[
        :16
    ]
    state = settings.home / "import" / f"{file.name}.{name}.json"
    whole = Import(file, rows, mapping, state, rejected or state.with_suffix(".rejected.jsonl"), principal)
    summary = _checked(whole) if dry_run else _sent(whole, settings, url, again)
    _tell(summary, whole, dry_run)
    if summary.rejected:
        raise typer.Exit(1)


def _importer(by_gateway: bool) -> tuple[Settings, Principal | None]:
    """Settings, and whose the rows are; None where only the gateway that they go to knows the key."""
    from headrace.access.keys import KeyRing
    from headrace.settings import Settings

    if not by_gateway:
        return permitted("import", "ingest", "outcome", "review")
    settings = Settings.from_environ()
    return settings, KeyRing(settings.keys).find(settings.key.get_secret_value())


def _checked(whole: Import) -> Summary:
    with _Bar(whole.file.name) as bar:
        summary, first = whole.check(bar.move)
    for event in first:
        typer.echo(event.to_json())
    return summary


def _sent(whole: Import, settings: Settings, url: str, again: bool) -> Summary:
    import asyncio

    from headrace.client import AsyncClient

    async def send() -> Summary:
        key = settings.key.get_secret_value()
        reached: dict[str, Any] = {"url": url, "key": key} if url else {"settings": settings}
        async with AsyncClient(**reached, emitter="import") as client:
            with _Bar(whole.file.name) as bar:
                return await whole.run(client.send, again, bar.move)

    return asyncio.run(send())


def _tell(summary: Summary, whole: Import, dry_run: bool) -> None:
    if summary.nothing_new:
        typer.echo(
            f"{whole.file} was imported before ({summary.events} events of {summary.rows} rows) and has not changed;"
            " --again sends it again"
        )
    else:
        went_on = f", after row {summary.resumed_after} where it stopped before" if summary.resumed_after else ""
        what = "would be stored" if dry_run else "are stored"
        typer.echo(
            f"{summary.rows} rows of {whole.file}{went_on}: {summary.events} events {what}, {summary.rejected} rejected"
        )
    if summary.before:
        typer.echo(
            f"{summary.before} events are more than {SPAN.days} days old: ClickHouse keeps them apart from the months,"
            " and they leave once they are older than the plan's privacy.retention_days"
        )
    if summary.ahead:
        typer.echo(
            f"{summary.ahead} events are of a time that has not come yet: look at the column of occurred_at, at --zone"
            " and at --time-format"
        )
    for reason in summary.reasons:
        typer.echo(reason, err=True)
    if summary.rejected and not dry_run:
        typer.echo(f"all rejected rows: {whole.report}", err=True)


class _Bar:
    """How far it is, on a terminal; nothing elsewhere."""

    def __init__(self, name: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        self._drawn = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[said]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._drawn.add_task(name, total=1.0, said="")

    def __enter__(self) -> _Bar:
        self._drawn.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._drawn.stop()

    def move(self, progress: Any) -> None:
        said = f"{progress.events} events" + (f", {progress.rejected} rejected" if progress.rejected else "")
        self._drawn.update(self._task, completed=progress.share, said=said)


def _pair(option: str, text: str) -> tuple[str, str]:
    left, equals, right = text.rpartition("=") if option == "--map" else text.partition("=")
    if not (left and equals and (right or option == "--set")):
        wanted = "COLUMN=FIELD" if option == "--map" else "FIELD=VALUE"
        raise EventError(f"{option} {text}: it takes {wanted}")
    return left, right


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
