"""doctor: is every part, topic, table, key and clock as it should be, and did my event arrive?"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

MARKS = {"ok": "ok      ", "warning": "warning ", "problem": "PROBLEM "}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(
    event: Annotated[str, typer.Argument(help="An id of an event, or what its emitter calls it: where is it?")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check parts, topics, tables, keys and clocks, or follow one event. Exits 1 where there is a problem.

    \b
        headrace doctor
        headrace doctor 01961d5e-9c00-7000-8000-000000000001
    """
    from headrace.cli.caller import permitted
    from headrace.cli.clickhouse import connect
    from headrace.doctor import checks, whereabouts
    from headrace.doctor.findings import Level

    settings, _ = permitted("doctor", "read")
    told = whereabouts.called(settings, connect(settings), event) if event else checks.everything(settings)
    found = list(told)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], indent=1))
    else:
        for one in found:
            typer.echo(f"{MARKS[one.level]}{one.about:<10} {one.text}{'; ' + one.advice if one.advice else ''}")
    raise typer.Exit(int(any(one.level is Level.PROBLEM for one in found)))
