"""`python -m consumers.rollout`: writes promotions until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Sequence

from consumers.copies import WarehouseCopy
from consumers.ownership import Membership, own, stop_on_signals
from consumers.process import name_of, run_to_end
from consumers.rollout.owner import Rollouts
from consumers.rollout.replicas import Replicas
from consumers.rollout.traffic import WarehouseSight
from headrace import plan
from headrace.contract.topics import ROLLOUT_GROUP, ROLLOUTS
from headrace.process.readiness import ready
from headrace.settings import Settings


async def serve(settings: Settings, name: str) -> None:
    """Own partitions of the rollout requests. Raises HeadraceError where Kafka refuses."""
    stop = stop_on_signals()
    tasks, replicas = plan.load(settings.plan), Replicas()
    sight, copy = WarehouseSight(settings), WarehouseCopy(settings)
    following = asyncio.create_task(replicas.follow(settings))
    try:
        await own(
            settings,
            Membership(ROLLOUTS, ROLLOUT_GROUP, name),
            lambda partition: Rollouts(settings, tasks, sight, copy, replicas, partition),
            stop,
            lambda: ready(settings, name),
        )
    finally:
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following


def main(argv: Sequence[str] | None = None) -> int:
    """The process."""
    name = name_of(argv, "rollout", "Turn rollout requests into promotions, step by step.")
    return run_to_end(name, lambda settings: serve(settings, name))


if __name__ == "__main__":
    sys.exit(main())
