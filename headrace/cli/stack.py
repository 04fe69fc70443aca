"""up, down, status."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli import output
from headrace.cli.caller import permitted
from headrace.cli.clickhouse import connect
from headrace.errors import HeadraceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from headrace.embedded.state import StackState
    from headrace.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(up)
    app.command()(down)
    app.command()(status)
    app.command("prepare")(prepare_servers)


def up(
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return once everything is ready.")] = False,
) -> None:
    """Start Kafka, ClickHouse and every part on this machine, and keep them running.

    Creates the topics and the tables that are missing. Ctrl-C stops everything; data stays in HEADRACE_HOME (var/).
    To use servers that exist already, set HEADRACE_EMBEDDED= with HEADRACE_KAFKA and HEADRACE_CLICKHOUSE.

    \b
        headrace up              # until Ctrl-C
        headrace up --detach     # in the background; `headrace status`, `headrace down`
    """
    from headrace import plan
    from headrace.embedded import stack
    from headrace.settings import Settings

    settings = Settings.from_environ()
    wanted = stack.parts(settings, lambda: prepare(settings), plan.load(settings.plan))
    stack.up(settings, wanted, detach, _told(settings))


def down() -> None:
    """Stop what `headrace up` started here, in order, and return when all of it has ended."""
    from headrace.embedded import stack
    from headrace.settings import Settings

    stack.down(Settings.from_environ())
    typer.echo("headrace is down; its data stays where it is")


def status(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show what runs, what waits for it, and who serves each task. Exits 1 where headrace is not up."""
    from headrace.cli import control, lag
    from headrace.embedded import stack

    settings, _ = permitted("status", "read")
    state = stack.status(settings)
    try:
        tasks = connect(settings).query("cli/status_tasks") if state is not None else []
    except HeadraceError:
        tasks = []
    waiting = lag.read(settings) if state is not None else {}
    troubles = control.troubles(settings) if state is not None else []
    if as_json:
        shown = {"stack": state and asdict(state), "tasks": tasks, "lag": lag.rows(waiting), "unreadable": troubles}
        typer.echo(json.dumps(shown, default=str, indent=1))
    elif state is None:
        typer.echo(f"headrace is not up in {settings.home}; `headrace up` starts it", err=True)
    else:
        lines = [
            (part.name, part.phase.value, part.pid, part.address, part.restarts, _ago(part.since), part.reason)
            for part in state.parts
        ]
        output.table(("part", "state", "pid", "address", "restarts", "since", "last ended because"), lines)
        typer.echo()
        typer.echo("\n".join([*lag.sentences(waiting), *troubles]))
        if tasks:
            typer.echo()
            output.rows(tasks, as_json=False)
    raise typer.Exit(0 if state is not None and state.phase == "ready" else 1)


def prepare_servers() -> None:
    """Create the topics, the database, its tables and views where they are missing; `headrace up` does it by itself.

    For servers of your own, once before the parts start: HEADRACE_KAFKA and HEADRACE_CLICKHOUSE say where they are.
    """
    from headrace.settings import Settings

    prepare(Settings.from_environ())
    typer.echo("topics and tables are ready")


def prepare(settings: Settings) -> None:
    """Create topics, database, tables and views where they are missing; run between the servers and the parts."""
    import asyncio

    from headrace.bus.kafka import ensure_topics
    from headrace.contract.bounds import keep_bounds
    from headrace.warehouse import Warehouse

    warehouse = Warehouse.connect(settings)
    warehouse.prepare()
    if told := asyncio.run(keep_bounds(settings, warehouse)):
        typer.echo(f"headrace: {told}", err=True)
    warehouse.close()
    for difference in asyncio.run(ensure_topics(settings)):
        typer.echo(f"headrace: {difference}; keys would move, so it stays as it is", err=True)


def _told(settings: Settings) -> Callable[[StackState], None]:
    """Prints each part's change of state once, and the addresses when everything is ready."""
    last: dict[str, str] = {}

    def tell(state: StackState) -> None:
        for part in state.parts:
            if last.get(part.name) != part.phase.value and part.phase.value != "waiting":
                last[part.name] = part.phase.value
                about = part.reason if part.phase.value in ("backing off", "failed") else part.address
                typer.echo(f"{part.name:<12} {part.phase.value:<12} {about}".rstrip())
        if last.get("") != state.phase.value:
            last[""] = state.phase.value
            if state.phase.value == "ready":
                typer.echo(
                    f"headrace is up: gateway {settings.gateway}, console {settings.console},"
                    f" ClickHouse {settings.clickhouse} (database {settings.database}), Kafka {settings.kafka}"
                )

    return tell


def _ago(since: float) -> str:
    seconds = max(0, int(time.time() - since))
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
