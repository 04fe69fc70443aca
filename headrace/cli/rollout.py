"""promote, approve, rollback, pin, divert: what people say about who serves a task; consumers/rollout does it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli.loop import Reason, Task, deliver, operated, promotion_now
from headrace.errors import SettingsError

if TYPE_CHECKING:
    from headrace.access.roles import Principal
    from headrace.contract.control import Promotion, RequestKind, Served
    from headrace.settings import Settings

Wait = Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait until it is done.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (promote, approve, rollback, pin, divert):
        app.command()(command)


def promote(
    task: Task,
    version: Annotated[str, typer.Argument(help="A published version, as router@12, or the plan's incumbent.")],
    reason: Reason,
    wait_s: Wait = 10.0,
) -> None:
    """Start the rollout of a version: one that is recommended (mode propose), or an earlier one.

    It goes through shadow and canary as every candidate. In a freeze window of the plan it waits for its end. Exits 1
    where nothing is answered within the time to wait; the request stands all the same.

    \b
        headrace promote router router@12 --reason "the rollback was about something else"
    """
    from headrace.contract.control import RequestKind

    settings, caller = operated("promote", task)
    live = asyncio.run(promotion_now(settings, task))
    candidate = _published(settings, task, version, live)
    _ask(settings, caller, live, RequestKind.PROMOTE, reason, wait_s, candidate=candidate, by_hand=True)


def approve(task: Task, reason: Reason, wait_s: Wait = 10.0) -> None:
    """Let a rollout go on that waits for a person, as the plan's rollout.approval asks for.

    It goes on with its next look, within a second or two, where the evidence still suffices.

    \b
        headrace approve router --reason "looked at 30 answers"
    """
    from headrace.contract.control import RequestKind

    settings, caller = operated("approve", task)
    live = asyncio.run(promotion_now(settings, task))
    if live.candidate is None:
        raise SettingsError(f"no version of {task} is being rolled out; there is nothing to approve")
    _ask(settings, caller, live, RequestKind.APPROVE, reason, wait_s, candidate=live.candidate)


def rollback(task: Task, reason: Reason, wait_s: Wait = 10.0) -> None:
    """Send a task's traffic back: from a rollout to its live version, or from the live version to the one before.

    Exits 1 where that is not done within the time to wait; the request stands all the same.

    \b
        headrace rollback router --reason "complaints from Lisbon"
    """
    from headrace.contract.control import RequestKind

    settings, caller = operated("rollback", task)
    live = asyncio.run(promotion_now(settings, task))
    if live.previous is None and live.candidate is None:
        raise SettingsError(
            f"{task} has been served by {live.live.version} from the start: there is nothing to go back to"
        )
    _ask(settings, caller, live, RequestKind.ROLL_BACK, reason, wait_s, candidate=live.candidate or live.live)


def pin(
    task: Task,
    tenant: Annotated[str, typer.Option("--tenant", "-t", help="Whose traffic.")],
    reason: Reason,
    version: Annotated[str, typer.Argument(help="A version that is loaded; left out with --off.")] = "",
    off: Annotated[bool, typer.Option("--off", help="Take the pin off.")] = False,
    wait_s: Wait = 10.0,
) -> None:
    """Keep a tenant's traffic on a version that is loaded, whatever is promoted, until the pin is taken off.

    Loaded are the live version, the one before it, one that is rolled out, and the incumbent. It stays loaded.

    \b
        headrace pin router router@11 --tenant acme --reason "their acceptance test runs"
        headrace pin router --tenant acme --off --reason "it is over"
    """
    from headrace.contract.control import RequestKind, Served

    settings, caller = operated("pin", task)
    if not off and not version:
        raise SettingsError("name the version to pin to, or --off")
    live = asyncio.run(promotion_now(settings, task))
    candidate = None if off else Served(version=version)
    _ask(settings, caller, live, RequestKind.PIN, reason, wait_s, candidate=candidate, tenant=tenant)


def divert(
    task: Task,
    share: Annotated[float, typer.Argument(min=0, max=1, help="Of the sessions; 0 ends it.")],
    reason: Reason,
    wait_s: Wait = 10.0,
) -> None:
    """Have the incumbent answer a share of a task's sessions in the place of a live version that is broken.

    It ends with the next live version. 0 also keeps the plan's incumbent_share_when_broken from beginning it again.

    \b
        headrace divert router 0.5 --reason "wrong answers about leave"
    """
    from headrace.contract.control import RequestKind

    settings, caller = operated("divert", task)
    live = asyncio.run(promotion_now(settings, task))
    _ask(settings, caller, live, RequestKind.DIVERT, reason, wait_s, share=share)


def _published(settings: Settings, task: str, version: str, live: Promotion) -> Served:
    """The version as its job published it. Raises SettingsError where none did."""
    from headrace import plan
    from headrace.bus.kafka import snapshot
    from headrace.contract.compacted import compacted
    from headrace.contract.control import Job, Served
    from headrace.contract.topics import JOBS

    incumbent = plan.load(settings.plan).task(task).incumbent.version
    there = {incumbent: Served(version=incumbent)}
    for job in compacted(asyncio.run(snapshot(settings, JOBS)), JOBS, Job).read.values():
        if job.task == task and job.result.get("served"):
            served = Served.model_validate(job.result["served"])
            there[served.version] = served.model_copy(update={"job_id": job.job_id, "attempt": job.attempt})
    there |= live.versions
    if version not in there:
        raise SettingsError(f"no job of {task} published {version}; there are {', '.join(sorted(there))}")
    return there[version]


def _ask(
    settings: Settings,
    caller: Principal,
    live: Promotion,
    kind: RequestKind,
    reason: str,
    wait_s: float,
    **fields: Any,
) -> None:
    """Send the request, print its id, and wait for the generation that answers it."""
    from datetime import UTC, datetime

    from headrace.access.actions import action
    from headrace.contract.actions import ActionKind, Via
    from headrace.contract.control import RequestKind as Kind
    from headrace.contract.control import RolloutRequest
    from headrace.contract.ids import uuid7
    from headrace.contract.topics import ROLLOUTS

    asked = RolloutRequest(
        request_id=uuid7(),
        task=live.task,
        kind=kind,
        at=datetime.now(UTC),
        by=caller.name,
        generation=live.generation,
        reason=reason,
        **fields,
    )
    back = kind in (Kind.ROLL_BACK, Kind.DIVERT)
    done = action(
        ActionKind.ROLLBACK if back else ActionKind.PROMOTION, caller.name, Via.CLI, str(asked.request_id), live.task,
        result="asked for", asked=str(kind), reason=reason, request_id=str(asked.request_id),
    )  # fmt: skip
    deliver(settings, ROLLOUTS, asked.to_json(), live.task, done)
    typer.echo(asked.request_id)
    after = asyncio.run(_next_promotion(settings, live.task, live.generation, wait_s))
    if after is None:
        typer.echo(
            f"asked for and not answered yet; `headrace log --task {live.task}` says why where it was refused, and"
            " `headrace status` whether rollout runs and who serves",
            err=True,
        )
        raise typer.Exit(1)
    typer.echo(f"generation {after.generation}: {after.live.version} serves {live.task} ({after.reason})", err=True)


async def _next_promotion(settings: Settings, task: str, generation: int, wait_s: float) -> Promotion | None:
    """The first one after `generation`; None where there is none in time."""
    deadline = asyncio.get_running_loop().time() + wait_s
    while (now := await promotion_now(settings, task)).generation <= generation:
        if asyncio.get_running_loop().time() >= deadline:
            return None
        await asyncio.sleep(0.2)
    return now
