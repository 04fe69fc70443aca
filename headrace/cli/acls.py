"""acls: what a secured broker has to let each part and each role do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.caller import permitted
from headrace.errors import SettingsError

if TYPE_CHECKING:
    from headrace.access.acls import Acl
    from headrace.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(acls)


def acls(
    who: Annotated[str, typer.Argument(help="A part, or role-NAME; all of them where it is left out.")] = "",
    principal: Annotated[str, typer.Option("--principal", help="Its name at the broker; default User:WHO.")] = "",
    apply: Annotated[bool, typer.Option("--apply", help="Give the rights now, logged in as an administrator.")] = False,
) -> None:
    """Print the kafka-acls commands that give each part and role its rights at a secured Kafka.

    Parts may share a login: give its principal the rights of each. --apply gives them by HEADRACE_KAFKA, whose login
    must be allowed to.

    \b
        headrace acls
        headrace acls streams --principal User:flywheel
        headrace acls role-ingest --principal User:desk --apply
    """
    from headrace.access.acls import commands, of_everyone

    settings, _ = permitted("acls --apply", "operate") if apply else permitted("acls", "read")
    everyone = of_everyone()
    if who and who not in everyone:
        raise SettingsError(f"there are no ACLs for {who!r}; there are {', '.join(everyone)}")
    if principal and not who:
        raise SettingsError("--principal names one login: say which part or role it is of")
    chosen = {principal or f"User:{name}": rights for name, rights in everyone.items() if who in ("", name)}
    if apply:
        _apply(settings, chosen)
        return
    for name, rights in chosen.items():
        typer.echo(f"# {name}")
        typer.echo("\n".join(commands(name, rights)))


def _apply(settings: Settings, chosen: dict[str, tuple[Acl, ...]]) -> None:
    import asyncio

    from headrace.bus.kafka.rights import grant

    asyncio.run(grant(settings, chosen))
    typer.echo(f"given to {', '.join(chosen)}")
