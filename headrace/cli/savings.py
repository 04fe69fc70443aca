"""savings: what the versions cost, what the incumbent would have cost for the same requests, and from when it pays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli import output
from headrace.cli.ask import Json
from headrace.cli.caller import permitted
from headrace.cli.clickhouse import connect

if TYPE_CHECKING:
    from headrace.plan import Plan
    from headrace.warehouse import Warehouse


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(savings)


def savings(
    task: Annotated[str, typer.Argument(help="A task of the plan; left out: all of them.")] = "",
    days: Annotated[float, typer.Option(min=0.01, max=3650, help="How far to look back.")] = 30.0,
    as_json: Json = False,
) -> None:
    """What was saved against the incumbent on the same requests, with machines that are always on.

    \b
        headrace savings
        headrace savings router --days 7 --json
    """
    from headrace import plan

    settings, _ = permitted("savings", "read")
    found = gathered(connect(settings), plan.load(settings.plan), task, datetime.now(UTC) - timedelta(days=days))
    if as_json:
        output.rows(found, as_json)
        return
    if not found:
        typer.echo("no task of the plan answered anything in this time", err=True)
    for number, row in enumerate(found):
        typer.echo("\n" * bool(number) + "\n".join(told(row)))
        output.table(list(row["versions"][0]), [list(version.values()) for version in row["versions"]])
        output.table(list(row["latency"][0]), [list(arm.values()) for arm in row["latency"]])


def gathered(warehouse: Warehouse, plan: Plan, task: str, since: datetime) -> list[dict[str, Any]]:
    """What headrace.savings says of the tasks, and the latency of their versions. Raises PlanError for another task.

    task: of which alone something is told, though machines are shared with all; empty: of all
    """
    from headrace.savings import savings as saved

    if task:
        plan.task(task)
    rows, people = {}, {}
    for name, spec in plan.tasks.items():
        prices = {"usd_in": spec.incumbent.usd_per_million_in, "usd_out": spec.incumbent.usd_per_million_out}
        rows[name] = warehouse.query("cli/savings", task=name, since=since, incumbent=spec.incumbent.version, **prices)
        people[name] = warehouse.query("cli/savings_people", task=name, since=since)[0]
    loaded = {row["task"]: row["versions"] for row in warehouse.query("cli/savings_loaded")}
    told = saved(plan, rows, people, since, datetime.now(UTC), loaded)
    found = [row for row in told if not task or row["task"] == task]
    for row in found:
        row["latency"] = warehouse.query("cli/savings_latency", task=row["task"], since=since)
    return found


def told(row: dict[str, Any]) -> list[str]:
    """A task's savings in sentences."""
    spent = (
        f"{row['task']}: {row['requests']:,} requests since {row['since']:%Y-%m-%d %H:%M}"
        f" UTC ({row['requests_per_day']:,.0f} a day) cost ${row['spent_usd']:,.4g}:"
        f" machine hours ${row['fixed_usd']:,.4g},"
        f" tokens ${row['marginal_usd']:,.4g}, the judge's {row['verdicts']:,} verdicts ${row['judge_usd']:,.4g},"
        f" the experts' {row['reviews']:,} reviews ${row['experts_usd']:,.4g}."
    )
    if row["incumbent_usd"] is None:
        return [spent, "What the incumbent would have cost is not known: none of its answers is stored."]
    interval = ""
    if row["saved_low"] is not None:
        interval = f" (95 %: {row['saved_low']:,.4g} to {row['saved_high']:,.4g})"
    word = "saved" if row["saved_usd"] >= 0 else "lost"
    even = row["break_even_per_day"]
    when = "It is not cheaper at any traffic." if even is None else f"It is cheaper from {even:,.0f} requests a day on."
    return [
        spent,
        f"The incumbent would have cost ${row['incumbent_usd']:,.4g} for the same requests: {word}"
        f" ${abs(row['saved_usd']):,.4g}{interval and f', saved{interval}'}. {when}",
    ]
