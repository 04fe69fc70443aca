"""`python -m consumers.retrain`: runs retraining jobs until it is told to stop."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from consumers.copies import WarehouseCopy
from consumers.ownership import Membership, own, stop_on_signals
from consumers.process import name_of, run_to_end
from consumers.retrain.attempt import Trainer
from consumers.retrain.labels import WarehouseLabels
from consumers.retrain.owner import Jobs
from consumers.retrain.timings import Timings
from headrace import plan
from headrace.bus.kafka import KafkaProducer
from headrace.contract.topics import RETRAIN_GROUP, TRIGGERS
from headrace.process.readiness import ready
from headrace.settings import Settings

TRAINER = (sys.executable, "-m", "trainer")
TIMINGS = Timings()


async def serve(settings: Settings, name: str, command: Sequence[str], timings: Timings) -> None:
    """Own partitions of the triggers and run their jobs. Raises HeadraceError where Kafka refuses."""
    stop = stop_on_signals()
    progress = KafkaProducer(settings, client_id=name)
    await progress.start()
    of = plan.load(settings.plan)
    trainer = Trainer(settings, of, command, progress, timings)
    labels, copy, device = WarehouseLabels(settings, of), WarehouseCopy(settings), asyncio.Lock()
    try:
        await own(
            settings,
            Membership(TRIGGERS, RETRAIN_GROUP, name),
            lambda partition: Jobs(trainer, labels, copy, partition, device),
            stop,
            lambda: ready(settings, name),
        )
    finally:
        await progress.stop()


def main(argv: Sequence[str] | None = None, command: Sequence[str] = TRAINER, timings: Timings = TIMINGS) -> int:
    """The process. Tests give another trainer and a quicker timings."""
    name = name_of(argv, "retrain", "Turn triggers into retraining jobs and run them.")
    return run_to_end(name, lambda settings: serve(settings, name, command, timings))


if __name__ == "__main__":
    sys.exit(main())
