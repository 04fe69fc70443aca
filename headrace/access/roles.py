"""What the holder of an API key may do: the one table that HTTP, OTLP, import, the command line and the console ask.

role      may say (source of feedback)    may do
ingest    user, implicit                  emit inferences and feedback, ask questions
publish   user, on an answer whose token  nothing else; for browsers of the key's origins
          it holds
outcome   outcome                         say what the business's own systems found
review    reviewer, audit, judge          say what experts and their evaluators found
operate   nothing                         triggers, promotions, rollbacks, keys
read      nothing                         read the warehouse, the console and the state of the loop
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from headrace.contract.events import Source
from headrace.errors import UserError

DEFAULT_TENANT = "default"
"""What an emitter says that knows of no tenants."""


class Role(StrEnum):
    """What a key is for; a key may have several."""

    INGEST = "ingest"
    PUBLISH = "publish"
    OUTCOME = "outcome"
    REVIEW = "review"
    OPERATE = "operate"
    READ = "read"


class Forbidden(UserError):
    """The key is known, and has no role for this: names the role that it would take."""


SOURCES: Mapping[Role, frozenset[Source]] = {
    Role.INGEST: frozenset({Source.USER, Source.IMPLICIT}),
    Role.PUBLISH: frozenset({Source.USER}),
    Role.OUTCOME: frozenset({Source.OUTCOME}),
    Role.REVIEW: frozenset({Source.REVIEWER, Source.AUDIT, Source.JUDGE}),
    Role.OPERATE: frozenset(),
    Role.READ: frozenset(),
}
"""Which sources of feedback each role may speak as."""


@dataclass(frozen=True, slots=True)
class Rate:
    """events_per_s: on average; burst: how many at once after a pause"""

    events_per_s: float
    burst: float

    @classmethod
    def parse(cls, text: str) -> Rate:
        """From `events_per_s[/burst]`. Raises UserError."""
        events_per_s, slash, burst = text.partition("/")
        try:
            made = cls(float(events_per_s), float(burst if slash else events_per_s))
        except ValueError:
            made = cls(0, 0)
        if not (0 < made.events_per_s < math.inf and 1 <= made.burst < math.inf):
            raise UserError(f"{text!r} is not a rate: write events_per_s/burst, as in 1000/5000")
        return made

    def __str__(self) -> str:
        return f"{self.events_per_s:g}/{self.burst:g}"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks.

    tenant: whose events it brings; any_tenant: of those that name no other
    key_id: of the API key, empty for who has none; name: for people and the log of actions
    origins: web origins from which a browser may use the key, for `publish` alone
    rate: how much may come by the key, None for as much as its tenant may send
    """

    tenant: str
    roles: frozenset[Role]
    key_id: str = ""
    name: str = ""
    origins: tuple[str, ...] = ()
    rate: Rate | None = None
    any_tenant: bool = False

    def may(self, *roles: Role) -> bool:
        """Whether it has one of the roles."""
        return not self.roles.isdisjoint(roles)

    def require(self, what: str, *roles: Role) -> None:
        """Raises Forbidden that says what it may not do and which role it takes."""
        if not self.may(*roles):
            raise Forbidden(f"{what} takes a key with the role {' or '.join(roles)}; {self._has()}")

    def sources(self) -> frozenset[Source]:
        """The sources of feedback that it may speak as."""
        return frozenset().union(*(SOURCES[role] for role in self.roles))

    def require_source(self, source: Source) -> None:
        """Raises Forbidden where it may not speak as that source."""
        if source not in self.sources():
            wanted = [role for role in Role if source in SOURCES[role]]
            raise Forbidden(f"source {source} takes a key with the role {' or '.join(wanted)}; {self._has()}")

    def _has(self) -> str:
        if not self.key_id:
            return "no API key was given (`headrace keys add` makes one)"
        return f"key {self.key_id} has {', '.join(sorted(self.roles)) or 'none'}"


def owner(tenant: str, name: str) -> Principal:
    """Who can read this machine's home may do everything; every limit that a key has would be one in name only."""
    return Principal(tenant, frozenset(Role), name=name, any_tenant=True)


def anonymous(tenant: str) -> Principal:
    """Without any key, programs on this machine may do what an agent frontend does."""
    return Principal(tenant, frozenset({Role.INGEST}), name="anonymous")


def roles_of(names: Iterable[str]) -> frozenset[Role]:
    """Raises UserError that names the role nobody knows."""
    found = set()
    for name in names:
        if name not in set(Role):
            raise UserError(f"there is no role {name!r}; there are {', '.join(Role)}")
        found.add(Role(name))
    return frozenset(found)
