"""keys: API keys, made, listed, rotated and revoked while everything runs."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli import output
from headrace.cli.caller import permitted
from headrace.errors import SettingsError

if TYPE_CHECKING:
    from datetime import timedelta

    from headrace.access.keys import Key
    from headrace.access.roles import Principal
    from headrace.contract.actions import ActionKind
    from headrace.settings import Settings

HELP = """API keys: who may send, label, operate and read.

\b
    role      for                       may
    ingest    agent frontends           ask questions; emit inferences, user and implicit feedback
    publish   web pages                 user feedback on an answer whose token the page got with it
    outcome   the business's systems    feedback with source outcome
    review    experts, evaluators       feedback with source reviewer, audit and judge
    operate   people, deployments       trigger, roll back, dead letters, keys
    read      analysts, Prometheus      the warehouse, the console, /metrics

A key is printed once, when it is made; the key file (HEADRACE_KEYS) holds its digest alone. Changes hold from the next
request on. As long as there is no key, programs on this machine may do what ingest may, and others nothing.
"""
SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}

keys_app = typer.Typer(help=HELP, no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(keys_app, name="keys", short_help="API keys: who may send, label, operate and read.")


@keys_app.command("add")
def keys_add(
    name: Annotated[str, typer.Argument(help="Who holds it, as helpdesk or crm.")],
    roles: Annotated[list[str], typer.Option("--role", help="A role; as often as needed.")],
    tenant: Annotated[str, typer.Option(help="Whose events it brings.")] = "default",
    origins: Annotated[
        list[str] | None, typer.Option("--origin", help="For publish: of a web page, https://host; as often as needed.")
    ] = None,
    expires: Annotated[str, typer.Option(help="When it ends, as 90d, 12h or 30m from now; default: never.")] = "",
    rate: Annotated[str, typer.Option(help="Events a second, and at once after a pause, as 1000/5000.")] = "",
) -> None:
    """Make a key and print it, this once.

    \b
        headrace keys add helpdesk --role ingest --expires 90d
        headrace keys add helpdesk-page --role publish --origin https://helpdesk.example.com
        headrace keys add crm --role outcome --rate 50/500
    """
    from headrace.access import keys
    from headrace.access.roles import roles_of
    from headrace.contract.actions import ActionKind

    settings, caller = permitted("keys add", "operate")
    _of_own_tenant(caller, tenant)
    lifetime = _duration(expires) if expires else None
    made, text = keys.make(
        settings.keys, name, tenant, roles_of(roles), caller.name, origins or (), lifetime=lifetime, rate=rate
    )
    typer.echo(text.get_secret_value())
    _done(settings, caller, ActionKind.KEY_ADDED, made, _rights(made), "; this is the only time it is shown")


@keys_app.command("list")
def keys_list(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """All keys, revoked and expired ones too, with their rights; never the keys themselves."""
    from datetime import UTC, datetime

    from headrace.access import keys

    settings, _ = permitted("keys list", "operate")
    now = datetime.now(UTC)
    shown = [{"state": one.state(now)} | _shown(one) for one in keys.read(settings.keys)]
    if as_json:
        typer.echo(json.dumps(shown, indent=1, default=str))
    else:
        text = [{name: _text(value) for name, value in row.items()} for row in shown]
        output.rows(text, as_json=False, empty=f"{settings.keys} holds no key; `headrace keys add` makes one")


@keys_app.command("revoke")
def keys_revoke(key: Annotated[str, typer.Argument(metavar="ID|NAME", help="An id, or a name.")]) -> None:
    """End a key now: the next request with it is refused. By a name, all active keys of that name.

    \b
        headrace keys revoke helpdesk
    """
    from headrace.access import keys
    from headrace.contract.actions import ActionKind

    settings, caller = permitted("keys revoke", "operate")
    _of_own_tenant(caller, *_tenants(settings, key))
    for ended in keys.revoke(settings.keys, key, caller.name):
        _done(settings, caller, ActionKind.KEY_REVOKED, ended, "revoked")


@keys_app.command("rotate")
def keys_rotate(
    key: Annotated[str, typer.Argument(metavar="ID|NAME", help="An id, or a name.")],
    overlap: Annotated[str, typer.Option(help="How long the old key still holds, as 24h or 30m.")] = "24h",
) -> None:
    """Make a key with the same rights and print it; the old one ends after the overlap.

    \b
        headrace keys rotate helpdesk --overlap 24h
    """
    from headrace.access import keys
    from headrace.contract.actions import ActionKind

    settings, caller = permitted("keys rotate", "operate")
    _of_own_tenant(caller, *_tenants(settings, key))
    old, made, text = keys.rotate(settings.keys, key, _duration(overlap), caller.name)
    typer.echo(text.get_secret_value())
    ending = f"{made.id} takes its place; it ends {_text(old.expires_at)}"
    _done(settings, caller, ActionKind.KEY_ROTATED, old, ending)


def _done(settings: Settings, caller: Principal, kind: ActionKind, key: Key, change: str, told: str = "") -> None:
    """Tell a change of a key and record it: every one comes by here.

    told: what is said behind it and not recorded
    """
    from headrace.access.actions import action, record
    from headrace.contract.actions import Via

    typer.echo(f"key {key.id} ({key.name}): {change}{told}", err=True)
    detail: dict[str, Any] = {"name": key.name, "tenant": key.tenant, "roles": sorted(key.roles), "change": change}
    record(settings, action(kind, caller.name, Via.CLI, key.id, **detail))


def _tenants(settings: Settings, key: str) -> set[str]:
    """Whose keys bear that id or name."""
    from headrace.access import keys

    return {one.tenant for one in keys.read(settings.keys) if key in (one.id, one.name)}


def _of_own_tenant(caller: Principal, *tenants: str) -> None:
    """Raises Forbidden where a key would make or end another tenant's."""
    from headrace.access.roles import Forbidden

    if not caller.any_tenant and (others := sorted({*tenants} - {caller.tenant})):
        raise Forbidden(
            f"key {caller.key_id} is tenant {caller.tenant!r}'s; it has no say in keys of {', '.join(others)}"
        )


def _shown(key: Key) -> dict[str, Any]:
    """What anybody who may operate may see: not the digest."""
    return key.model_dump(exclude={"digest", *(key.model_extra or {})})


def _rights(key: Key) -> str:
    parts = [f"tenant {key.tenant}, {_text(key.roles)}"]
    parts += [f"from {_text(key.origins)}"] if key.origins else []
    parts += [f"at most {key.rate} events/s"] if key.rate else []
    parts += [f"until {_text(key.expires_at)}"] if key.expires_at else []
    return ", ".join(parts)


def _text(value: Any) -> str:
    return ", ".join(value) if isinstance(value, tuple) else output.cell(value)


def _duration(text: str) -> timedelta:
    from datetime import timedelta

    found = re.fullmatch(r"(\d{1,4})\s*([mhdw])", text.strip())
    if found is None:
        raise SettingsError(f"{text!r} is not a duration: write it as 90d, 24h or 30m")
    return timedelta(seconds=int(found[1]) * SECONDS[found[2]])
