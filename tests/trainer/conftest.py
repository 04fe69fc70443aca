"""What the trainer's tests share."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from trainer_history import History, questions
from trainer_process import Trainer

from headrace.contract.ids import uuid7
from headrace.settings import Settings
from headrace.warehouse import Warehouse


@pytest.fixture
def empty(warehouse: Warehouse) -> Warehouse:
    """The module's database with the tables that curation reads and writes emptied."""
    for table in ("inferences", "feedback", "candidates", "datasets", "dataset_rows"):
        warehouse.command(f"TRUNCATE TABLE {table}")
    return warehouse


@pytest.fixture(scope="module")
def world(warehouse: Warehouse) -> dict[str, Any]:
    """Five labels, an incumbent that is right in 60 % of 450 audited answers, 250 corrections and thumbs."""
    rows = questions(700)
    labels = tuple(sorted({label for _, label in rows}))
    random_ = random.Random(3)
    history = History()
    for number, (text, label) in enumerate(rows):
        answered = label if random_.random() < 0.6 else random_.choice(labels)
        if number < 450:
            history.audited(text, answered, label)
        elif answered == label:
            history.say(history.ask(text, answered), "user", "thumb", value=1)
        else:
            history.say(history.ask(text, answered), "user", "correction", label=label)
    history.store(warehouse)
    return {"labels": labels, "now": history.now, "job_id": uuid7(history.now)}


@pytest.fixture(scope="module")
def settings(database: Settings) -> Settings:
    """Of the module's database."""
    return database


@pytest.fixture
def start() -> Iterator[Callable[[Path], Trainer]]:
    """Starts trainers, and ends those that still run."""
    started: list[Trainer] = []

    def begin(job: Path) -> Trainer:
        started.append(Trainer(job))
        return started[-1]

    yield begin
    for trainer in started:
        trainer.process.kill()
        trainer.process.wait(10)
        for pipe in (trainer.process.stdin, trainer.process.stdout, trainer.process.stderr):
            if pipe is not None:
                pipe.close()
