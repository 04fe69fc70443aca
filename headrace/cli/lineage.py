"""taught, and what `why` says of an answer: from answers to the feedback, jobs and triggers behind them, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from headrace.cli import output
from headrace.cli.ask import Json
from headrace.cli.caller import permitted
from headrace.cli.clickhouse import connect

if TYPE_CHECKING:
    from headrace.warehouse import Warehouse


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(taught)


def of_answer(warehouse: Warehouse, answer: UUID, rows: int) -> list[dict[str, Any]]:
    """Rows of cli/lineage_answer.sql; none where there is no such answer."""
    return warehouse.query("cli/lineage_answer", answer=str(answer), rows=rows)


def taught(
    person: Annotated[
        str, typer.Argument(help="A user's pseudonym (user_ref), or the name under which an expert labels.")
    ],
    tenant: Annotated[str, typer.Option(help="Whose user or expert; left out: each tenant's of this name.")] = "",
    as_json: Json = False,
) -> None:
    """What a person taught: the data sets that their questions or labels are in, and the versions that came of them.

    \b
        headrace taught u-4711
        headrace taught u-4711 --tenant acme
    """
    settings, _ = permitted("taught", "read")
    found = connect(settings).query("cli/lineage_taught", person=person, tenant=tenant)
    output.rows(found, as_json, empty=f"no data set has a question or a label of {person}")
