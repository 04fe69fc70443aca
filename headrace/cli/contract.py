"""schema, plan check, emit: the contract, and a way to speak it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli.caller import permitted
from headrace.errors import EventError

if TYPE_CHECKING:
    from headrace.contract.events import Event

plan_app = typer.Typer(help="Look at the plan, flywheel.toml.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(schema)
    app.add_typer(plan_app, name="plan")
    app.command()(emit)


def schema(name: Annotated[str, typer.Argument(help="event, feedback, plan, trigger, …, warehouse")] = "") -> None:
    """Print the JSON Schema of an event, of a control message or of the plan; without a name, list them.

    `warehouse` is what ClickHouse says about its tables and views, as Markdown.

    \b
        headrace schema inference > inference.schema.json
        headrace schema warehouse
    """
    from headrace.contract.json_schema import MODELS, json_schema, summary

    if name == "warehouse":
        typer.echo(_warehouse())
        return
    if name:
        typer.echo(json.dumps(json_schema(name), indent=2, ensure_ascii=False))
        return
    for known in MODELS:
        typer.echo(f"{known:<16} {summary(known)}")
    typer.echo(f"{'warehouse':<16} Every table, view and column of the warehouse.")


def _warehouse() -> str:
    from headrace.cli.clickhouse import connect
    from headrace.settings import Settings
    from headrace.warehouse.documentation import markdown

    return markdown(connect(Settings.from_environ()))


@plan_app.command("check")
def plan_check(
    path: Annotated[Path | None, typer.Argument(help="The file; default HEADRACE_PLAN, flywheel.toml.")] = None,
) -> None:
    """Check a plan: a mistake is told with its line, its key and what is allowed there.

    \b
        headrace plan check flywheel.toml
    """
    from headrace import plan
    from headrace.models import bases
    from headrace.settings import Settings

    path = path or Settings.from_environ().plan
    found = plan.load(path)
    typer.echo(f"{path} is a plan for {', '.join(sorted(found.tasks))}:")
    for name, task in sorted(found.tasks.items()):
        if task.kind == "generate":
            typer.echo(f"  {name}: texts of {task.incumbent.version}; mode {found.mode(name)}")
            continue
        candidates = ", ".join(f"{key} ({spec.method})" for key, spec in task.candidates.items())
        typer.echo(
            f"  {name}: {len(task.labels)} labels, incumbent {task.incumbent.version}, audits {task.audit.rate:.1%},"
            f" tries {candidates}; gate margin {task.gate.margin:g}, alpha {task.gate.alpha:g}; mode {found.mode(name)}"
        )
    for name in sorted(found.bases):
        base = found.base(name)
        typer.echo(f"  base {name}: {base.family}, {base.source}, digest {bases.digest_of(bases.resolve(base))}")
    if found.version < plan.PLAN_VERSION:
        typer.echo(
            f"It is of version {found.version}: `headrace plan upgrade` writes one of version {plan.PLAN_VERSION}."
        )


@plan_app.command("upgrade")
def plan_upgrade(
    path: Annotated[Path | None, typer.Argument(help="The file; default HEADRACE_PLAN, flywheel.toml.")] = None,
) -> None:
    """Write a plan of an older version anew, in the present one, so that it does the same; comments stay.

    \b
        headrace plan upgrade flywheel.toml
    """
    from headrace import plan
    from headrace.plan.upgrade import upgraded
    from headrace.settings import Settings

    path = path or Settings.from_environ().plan
    plan.load(path)
    before = path.read_text("utf-8")
    after = upgraded(before, str(path))
    if after == before:
        typer.echo(f"{path} is of version {plan.PLAN_VERSION} already")
        return
    partial = path.with_name(f".{path.name}.upgraded")
    partial.write_text(after, "utf-8")
    partial.replace(path)
    typer.echo(
        f'{path} is of version {plan.PLAN_VERSION} now; its tasks say mode = "auto", which is what they did before'
    )


def emit(
    kind: Annotated[str, typer.Argument(help="inference or feedback; without it, JSON from standard input.")] = "",
    fields: Annotated[list[str] | None, typer.Argument(help="name=value, as `headrace schema` names them.")] = None,
) -> None:
    """Record events and wait until Kafka has stored them; prints their ids.

    \b
        headrace emit inference task=router version=router@0 input="My VPN is down" label=it
        headrace emit feedback inference_id=0190… source=user signal=thumb value=-1
        headrace emit < events.json     # an event, an array of events, or one a line
    """
    import asyncio

    from headrace.access.events import attributed
    from headrace.client import AsyncClient

    events = [_from_fields(kind, fields or [])] if kind else list(_from_text(sys.stdin.read()))

    settings, caller = permitted("emit", "ingest", "outcome", "review")
    events = [attributed(event, caller) for event in events]

    async def send() -> None:
        async with AsyncClient(settings, emitter="cli") as client:
            await client.send(events)

    asyncio.run(send())
    for event in events:
        typer.echo(event.called)


def _from_fields(kind: str, fields: list[str]) -> Event:
    from headrace.contract.events import Feedback, Inference

    if kind not in ("inference", "feedback"):
        raise EventError(f"headrace emits an inference or a feedback, not {kind!r}")
    model = Inference if kind == "inference" else Feedback
    given: dict[str, Any] = {}
    for field in fields:
        name, equals, text = field.partition("=")
        if not equals:
            raise EventError(f"{field!r} is not a field: write name=value")
        annotation = str(model.model_fields[name].annotation) if name in model.model_fields else ""
        # Text stays text, also where it looks like a number; maps are written as JSON.
        given[name] = _json(text, name) if "dict" in annotation else text
    return _completed(kind, given)


def _from_text(text: str) -> Iterable[Event]:
    try:
        found = json.loads(text)
    except ValueError:
        found = [_json(line, f"line {number}") for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    found = found if isinstance(found, list) else [found]
    if not found:
        raise EventError("standard input holds no event; give one as JSON, or its fields as arguments")
    for number, fields in enumerate(found):
        if not isinstance(fields, dict):
            raise EventError(f"event {number} is not a JSON object")
        yield _completed("feedback" if fields.keys() & {"feedback_id", "signal"} else "inference", fields)


def _completed(kind: str, fields: dict[str, Any]) -> Event:
    """The event; an id and a time of its own where the fields have none. Checked as the SDK checks."""
    from headrace.client.options import Options

    options = Options(kafka="127.0.0.1:9092")
    return options.inference(None, fields) if kind == "inference" else options.feedback(None, fields)


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise EventError(f"{where} is not JSON: {error}") from None
