"""log: who did what, and from where."""

from __future__ import annotations

from typing import Annotated

import typer

from headrace.cli import output
from headrace.cli.ask import moment
from headrace.cli.caller import permitted
from headrace.cli.clickhouse import connect
from headrace.errors import SettingsError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(log)


def log(
    task: Annotated[str, typer.Option("--task", "-t", help="Only of this task.")] = "",
    since: Annotated[str, typer.Option("--since", help="Only from this time on, in UTC.")] = "",
    kind: Annotated[str, typer.Option("--kind", "-k", help="Only of this kind, as promotion or sign_in.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many, the newest of them.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Who did what, newest last: keys, triggers, promotions, rollbacks, changes of the plan, signing in.

    \b
        headrace log --task router --since 2026-10-01 --kind promotion
    """
    from headrace.access.telling import words
    from headrace.contract.actions import ActionKind

    settings, _ = permitted("log", "read")
    if kind and kind not in set(ActionKind):
        raise SettingsError(f"--kind {kind}: there is no such kind; there are {', '.join(ActionKind)}")
    asked = {"task": task, "kind": kind, "since": moment(since), "rows": limit}
    found = connect(settings).query("cli/actions_list", **asked)
    if as_json:
        output.rows(found, as_json)
        return
    told = [
        {name: row[name] for name in ("at", "by", "kind", "task", "subject")}
        | {"what": words(row["detail"]), "via": row["via"], "origin": row["origin"]}
        for row in found
    ]
    output.rows(told, as_json, empty="nothing was done yet, or nothing that this asks for")
