"""backup, restore: a flywheel in one file, and out of it again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(backup)
    app.command()(restore)


def backup(
    file: Annotated[Path, typer.Argument(help="A new file; it holds secrets and is readable by you alone.")],
    warehouse: Annotated[
        bool,
        typer.Option("--warehouse/--no-warehouse", help="Also the tables; a ClickHouse server has its own BACKUP."),
    ] = True,
) -> None:
    """Write control topics, keys, secrets, models and tables into one file, while everything runs.

    \b
        headrace backup monday.tar
        headrace backup monday.tar --no-warehouse   # with BACKUP DATABASE … in ClickHouse itself
    """
    from headrace.backup.save import save
    from headrace.cli.caller import permitted

    settings, _ = permitted("backup", "operate")
    save(settings, file, warehouse, typer.echo)
    typer.echo(f"{file} is whole")


def restore(file: Annotated[Path, typer.Argument(help="What `headrace backup` wrote.")]) -> None:
    """Bring a backup back into an empty home, Kafka and database, with the parts not started yet.

    What is there already is never overwritten: it is named, and nothing is done.

    \b
        headrace restore monday.tar && headrace up
    """
    from headrace.backup.restore import restore as bring_back
    from headrace.cli.caller import permitted

    settings, _ = permitted("restore", "operate")
    bring_back(settings, file, typer.echo)
    typer.echo("everything is back; start the parts with `headrace up`")
