"""Which arm answers a session: pure, so that every replica and every restart decides alike."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from headrace.contract.control import Promotion, Served
from headrace.contract.events import Arm
from headrace.plan import Incumbent


@dataclass(frozen=True, slots=True)
class Desired:
    """What a task should serve: a promotion, or before the first one the plan's incumbent as generation 0."""

    generation: int
    live: Served
    canary: Served | None = None
    canary_share: float = 0.0
    shadow: Served | None = None
    previous: Served | None = None
    since: datetime | None = None
    pins: Mapping[str, Served] = field(default_factory=dict)
    incumbent_share: float = 0.0

    @classmethod
    def of(cls, promotion: Promotion, seed: Desired) -> Desired:
        """As a promotion says. seed: the task's; an incumbent by a name that the plan gave up is the plan's own now"""

        def known(served: Served | None) -> Served | None:
            return seed.live if served is not None and not served.artifact else served

        return cls(
            promotion.generation,
            known(promotion.live) or promotion.live,
            known(promotion.canary),
            promotion.canary_share,
            known(promotion.shadow),
            known(promotion.previous),
            promotion.since,
            {tenant: known(served) or served for tenant, served in promotion.pins.items()},
            promotion.incumbent_share or 0.0,
        )

    @classmethod
    def seed(cls, incumbent: Incumbent) -> Desired:
        """Before any promotion."""
        return cls(0, Served(version=incumbent.version))


def route(desired: Desired, key: str) -> Arm:
    """LIVE or CANARY for a session.

    key: the session, or else the user, or else the inference: the same key gives the same arm
    """
    if desired.canary is None or place(key, desired.canary.version) >= desired.canary_share:
        return Arm.LIVE
    return Arm.CANARY


def diverted(desired: Desired, key: str) -> bool:
    """Whether the incumbent answers a session in the place of a broken live version."""
    return place(key, f"in the place of {desired.live.version}") < desired.incumbent_share


def place(key: str, candidate: str) -> float:
    """A session's place in [0, 1) for one candidate.

    It depends on the candidate and not on the generation: a growing share keeps the sessions it had and adds others,
    and the next candidate meets other sessions first.
    """
    digest = hashlib.sha256(f"canary:{candidate}\x1f{key}".encode()).digest()
    return int.from_bytes(digest[:7]) / (1 << 56)
