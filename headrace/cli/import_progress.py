"""What `headrace import` shows while it works and says at its end, and how it takes standard input."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from headrace.places import SPAN

if TYPE_CHECKING:
    from headrace.importing import Import, Summary


@contextlib.contextmanager
def standard_input(file: Path) -> Iterator[tuple[Path, str]]:
    """The file and ""; for `-` a copy of standard input, and the digest of what is in it."""
    if str(file) != "-":
        yield file, ""
        return
    digest = hashlib.sha256()
    with tempfile.TemporaryDirectory(prefix="headrace-import-") as folder:
        copy = Path(folder) / "stdin"
        with copy.open("wb") as written:
            while chunk := sys.stdin.buffer.read(1024 * 1024):
                digest.update(chunk)
                written.write(chunk)
        # The same content is the same file, whenever it comes.
        os.utime(copy, ns=(0, 0))
        yield copy, digest.hexdigest()


def tell(summary: Summary, whole: Import, dry_run: bool) -> None:
    """Say what an import did, or would do; what a person has to see is on standard error."""
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
    if summary.apart:
        typer.echo(
            f"{summary.apart} answers have an inference_id of another day than their occurred_at: they are stored, and"
            " are in no window and no accuracy; without a --map to inference_id ids are made of occurred_at",
            err=True,
        )
    if summary.repeated:
        typer.echo(
            f"{summary.repeated} rows have the id and the time of another row and say something else: the last of them"
            " counts; --id names the column that tells rows apart",
            err=True,
        )
    if summary.replaced:
        typer.echo(
            f"{whole.file} is not the file of which {summary.replaced} rows were imported before: it was replaced or"
            " cut, and began with its first row",
            err=True,
        )
    if summary.left:
        typer.echo(summary.left, err=True)
    if summary.found and (dry_run or any("--encoding" in one or "damaged" in one for one in summary.found)):
        typer.echo(f"read as: {'; '.join(summary.found)}", err=True)
    for reason in summary.reasons:
        typer.echo(reason, err=True)
    if summary.rejected and not dry_run:
        typer.echo(f"all rejected rows: {whole.report}", err=True)


class Bar:
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

    def __enter__(self) -> Bar:
        self._drawn.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._drawn.stop()

    def look(self, share: float) -> None:
        """How much of the file was looked at, before it is read."""
        self._drawn.update(self._task, completed=share, said="looking at the encoding")

    def move(self, progress: Any) -> None:
        """How far the import is."""
        if progress.looking:
            self._drawn.update(self._task, completed=progress.share, said="looking at the columns")
            return
        said = f"{progress.events} events" + (f", {progress.rejected} rejected" if progress.rejected else "")
        self._drawn.update(self._task, completed=progress.share, said=said)
