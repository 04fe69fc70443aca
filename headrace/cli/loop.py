"""trigger, cancel, jobs, why: the loop, asked to turn and asked what it did."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from headrace.cli import output
from headrace.cli.caller import permitted
from headrace.cli.clickhouse import connect
from headrace.errors import SettingsError

if TYPE_CHECKING:
    from headrace.access.roles import Principal
    from headrace.contract.actions import Action
    from headrace.contract.control import Promotion
    from headrace.contract.topics import Topic
    from headrace.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Task = Annotated[str, typer.Argument(help="A task of the plan, as router.")]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; it is kept with the decision.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (trigger, cancel, jobs, why):
        app.command()(command)


def trigger(task: Task, reason: Reason) -> None:
    """Retrain a task now, whatever the detectors say. Prints the trigger's id.

    \b
        headrace trigger router --reason "the Lisbon office opened"
    """
    made = _trigger("trigger", task, reason)
    typer.echo(f"`headrace why {made}` tells what becomes of it", err=True)


def cancel(task: Task, reason: Reason) -> None:
    """End a task's retraining job, whether it runs or waits. Nothing of it is published; what serves stays.

    As after each trigger, the plan's cool-down passes before the monitor starts another. Prints the id of the request.

    \b
        headrace cancel router --reason "the labels of last week are wrong"
    """
    made = _trigger("cancel", task, reason)
    typer.echo(f"`headrace jobs` tells in seconds what it has ended; `headrace why {made}` too", err=True)


def _trigger(command: str, task: str, reason: str) -> UUID:
    """Send a trigger in the caller's name; its id, which is printed."""
    from datetime import UTC, datetime

    from headrace import plan
    from headrace.access.actions import action
    from headrace.contract.actions import ActionKind, Via
    from headrace.contract.control import Trigger, TriggerKind
    from headrace.contract.ids import uuid7
    from headrace.contract.topics import TRIGGERS

    settings, caller = operated(command, task)
    kind = TriggerKind.CANCEL if command == "cancel" else TriggerKind.MANUAL
    labels = plan.load(settings.plan).task(task).labels
    live = asyncio.run(promotion_now(settings, task))
    now = datetime.now(UTC)
    made = Trigger(
        trigger_id=uuid7(now),
        task=task,
        kind=kind,
        decided_at=now,
        reason=reason,
        detector="manual",
        generation=live.generation,
        version=live.live.version,
        test_from=live.since,
        evidence={"by": caller.name, "task_labels": sorted(labels)},
    )
    done = action(ActionKind.TRIGGER, caller.name, Via.CLI, str(made.trigger_id), task, reason=reason, asked=str(kind))
    deliver(settings, TRIGGERS, made.to_json(), task, done)
    typer.echo(made.trigger_id)
    return made.trigger_id


def jobs(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 20, as_json: Json = False
) -> None:
    """The retraining jobs, newest first, each with its last state and why."""
    settings, _ = permitted("jobs", "read")
    found = connect(settings).query("cli/jobs_list", rows=limit)
    output.rows(found, as_json, empty="no jobs yet")


def why(
    what: Annotated[
        str,
        typer.Argument(
            metavar="TRIGGER|TASK|ANSWER",
            help="A trigger's id, an answer's, or a task: its last trigger, or why none.",
        ),
    ],
    rows: Annotated[int, typer.Option(min=0, max=1_000_000, help="Of an answer: list so many labels behind it.")] = 0,
    as_json: Json = False,
) -> None:
    """What a trigger rested on and what came of it, or why a task has none: a story, and its rows as JSON.

    Of an answer: its version, and the data set, labels, job and trigger behind that; and what the answer taught itself.

    \b
        headrace why router
        headrace why 01961d5e-9c00-7000-8000-000000000001 --rows 100
    """
    from headrace import plan
    from headrace.cli.lineage import of_answer
    from headrace.cli.why import quiet, story

    settings, _ = permitted("why", "read")
    warehouse = connect(settings)
    trigger_id = _uuid(what)
    if trigger_id is None:
        newest = warehouse.query("cli/why_task", task=what)
        if not newest:
            plan.load(settings.plan).task(what)
            found = warehouse.query("cli/why_quiet", task=what)
            lines = [f"There never was a trigger for {what}.", *quiet(what, found)]
            output.rows(found, as_json) if as_json else typer.echo("\n".join(lines))
            return
        trigger_id = newest[0]["trigger_id"]
    found = warehouse.query("cli/why_trigger", trigger=str(trigger_id))
    if not found and (behind := of_answer(warehouse, trigger_id, rows)):
        output.rows(behind, as_json)
        return
    if not found:
        raise SettingsError(f"there is no trigger or answer {trigger_id}; `headrace jobs` lists triggers' jobs")
    if as_json:
        output.rows(found, as_json)
    else:
        typer.echo("\n".join([f"Trigger {trigger_id}", *story(found)]))


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def operated(command: str, task: str) -> tuple[Settings, Principal]:
    """Settings and caller, once he may and the task is known to be one of the plan's."""
    from headrace import plan

    settings, caller = permitted(command, "operate")
    plan.load(settings.plan).task(task)
    return settings, caller


async def promotion_now(settings: Settings, task: str) -> Promotion:
    """The task's newest promotion. Raises SettingsError where there is none that can be read."""
    from headrace.bus.kafka import snapshot
    from headrace.contract.compacted import Unreadable, reading
    from headrace.contract.control import Promotion
    from headrace.contract.topics import PROMOTIONS

    value = (await snapshot(settings, PROMOTIONS)).get(task.encode())
    if value is None:
        raise SettingsError(
            f"the promotions topic has nothing of {task}: consumers.rollout makes the first promotion; is headrace up?"
            " `headrace control show` tells whether one was lost"
        )
    found = reading(task.encode(), value, PROMOTIONS, Promotion)
    if isinstance(found, Unreadable):
        raise SettingsError(
            f"the promotion of {task} cannot be read: {found.reason}; `headrace control restore` is the way back"
        )
    return found


def deliver(settings: Settings, topic: Topic, value: bytes, key: str, done: Action) -> None:
    """Send a record, and once it is stored who sent it."""
    from headrace.access.actions import Recorder
    from headrace.bus.kafka import KafkaProducer

    async def send() -> None:
        producer = KafkaProducer(settings, client_id="headrace-cli")
        await producer.start()
        try:
            await producer.send(topic, value, key.encode())
            await Recorder(producer, settings.home).record(done)
        finally:
            await producer.stop()

    asyncio.run(send())
