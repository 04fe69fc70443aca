"""Who uses the command line, and whether they may."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headrace.access.roles import Principal
    from headrace.settings import Settings


def permitted(command: str, *roles: str) -> tuple[Settings, Principal]:
    """Settings and caller of a command that takes one of these roles. Raises Forbidden.

    It keeps a holder of HEADRACE_KEY within the key's rights; who reaches Kafka or ClickHouse without headrace is
    stopped by their own passwords and ACLs.
    """
    from headrace.access.key_ring import command_line
    from headrace.access.roles import roles_of
    from headrace.settings import Settings

    settings = Settings.from_environ()
    caller = command_line(settings)
    caller.require(f"`headrace {command}`", *sorted(roles_of(roles)))
    return settings, caller
