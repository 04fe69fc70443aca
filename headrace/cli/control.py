"""control: what is on the control topics, and the way back from what was lost or cannot be read."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli import output
from headrace.cli.ask import Json
from headrace.cli.caller import permitted
from headrace.cli.clickhouse import connect
from headrace.errors import HeadraceError

if TYPE_CHECKING:
    from collections.abc import Collection

    from headrace.plan import Plan
    from headrace.restoring import Standing
    from headrace.settings import Settings

WITHIN_S = 10.0

Task = Annotated[str, typer.Option("--task", help="A task of the plan; without it all of them.")]

control_app = typer.Typer(
    help="See whether promotions and jobs can be read, and write back what was lost.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(control_app, name="control")


@control_app.command("show")
def show(task: Task = "", as_json: Json = False) -> None:
    """What the topics say of each task's promotion and jobs, what the warehouse has copied, and what is wrong.

    Exits 1 where something is: until it is mended or restored, what serves stays and nothing is written for the task.
    """
    from headrace import plan

    settings, _ = permitted("control show", "read")
    found = asyncio.run(_standings(settings, _tasks(plan.load(settings.plan), task)))
    output.rows([asdict(one) for one in found], as_json)
    if any(one.wrong for one in found):
        raise typer.Exit(1)


@control_app.command("restore")
def restore(
    task: Task = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be written.")] = False,
    incumbent: Annotated[
        bool, typer.Option("--incumbent", help="Where no promotion can be read: start with the plan's incumbent.")
    ] = False,
) -> None:
    """Write back the newest promotion and the jobs that can be read, from the topics and the warehouse's copy.

    The promotion gets a generation above all that were seen, so that every gateway follows it. Owners that run are
    fenced and go on after some 15 seconds; a running trainer of the same partition is started again.

    \b
        headrace control restore --task router --dry-run
    """
    from headrace import plan, restoring
    from headrace.access.actions import action, record
    from headrace.contract.actions import ActionKind, Via
    from headrace.errors import SettingsError
    from headrace.warehouse.copies import Copies

    settings, caller = permitted("control restore", "operate")
    by, the_plan, copies = caller.name, plan.load(settings.plan), Copies(connect(settings))
    wrong = {one.task for one in asyncio.run(_standings(settings, _tasks(the_plan, task))) if one.wrong}
    if not wrong:
        raise SettingsError("nothing is wrong with promotions and jobs; there is nothing to restore")
    for name in sorted(wrong):
        doing = restoring.restore(settings, copies, the_plan, name, by, dry_run=dry_run, incumbent=incumbent)
        written = list(asyncio.run(doing))
        for sentence in written:
            typer.echo(f"would write: {sentence}" if dry_run else sentence)
        if not dry_run:
            record(settings, action(ActionKind.RESTORE, by, Via.CLI, name, name, written=written))


def troubles(settings: Settings) -> list[str]:
    """What is wrong with promotions and jobs, one sentence each; nothing where Kafka or ClickHouse does not answer."""
    from headrace import plan

    async def within() -> list[Standing]:
        async with asyncio.timeout(WITHIN_S):
            return await _standings(settings, plan.load(settings.plan).tasks)

    try:
        found = asyncio.run(within())
    except (HeadraceError, TimeoutError):
        return []
    return [f"{one.topic}, {one.task}: {one.wrong}; see `headrace control show`" for one in found if one.wrong]


def _tasks(the_plan: Plan, task: str) -> list[str]:
    """The task, once it is known to be one of the plan's, or all of them."""
    if task:
        the_plan.task(task)
    return [task] if task else list(the_plan.tasks)


async def _standings(settings: Settings, tasks: Collection[str]) -> list[Standing]:
    from headrace.restoring import standings
    from headrace.warehouse.copies import Copies

    return await standings(settings, Copies(connect(settings)), tasks)
