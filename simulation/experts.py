"""Simulated subject-matter experts: they read the review queue and answer it, rarely wrong.

python -m simulation.experts --seed 1
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import threading
from collections import OrderedDict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from headrace.client import Client
from headrace.contract import ids
from headrace.contract.events import Feedback
from headrace.errors import UserError, WarehouseError
from headrace.process.readiness import ready
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from simulation.grammar import LABELS, World

AUDIT_PRECISION = 0.995
REVIEW_PRECISION = 0.99
POLL_S = 1.5
MAX_AT_ONCE = 500
REMEMBERED = 20_000
RATER = "simulated-expert"

QUEUE = """
SELECT kind, task, tenant, inference_id, occurred_at, input, label, inclusion_probability
FROM review_queue
ORDER BY occurred_at
LIMIT {limit:UInt32}
"""


def answer(world: World, row: dict[str, Any]) -> Feedback | None:
    """An expert's answer to one row of the queue; None for a question that nobody of the company asked.

    The id follows from the row, so that asking twice is answered once.
    """
    question = world.find(row["input"])
    if question is None:
        return None
    rng = random.Random(f"{world.seed}/expert/{row['kind']}/{row['inference_id']}")
    precision = AUDIT_PRECISION if row["kind"] == "audit" else REVIEW_PRECISION
    label = read(question.label, LABELS, precision, rng)
    blind = row["kind"] == "audit"
    verdict = {} if blind else {"blame": "routing" if label != row["label"] else "no_error"}
    return Feedback(
        feedback_id=ids.derived(row["occurred_at"], "expert", row["kind"], row["tenant"], row["inference_id"]),
        inference_id=row["inference_id"],
        occurred_at=datetime.now(UTC),
        tenant=row["tenant"],
        task=row["task"],
        source="audit" if blind else "reviewer",
        signal="label" if blind else "verdict",
        label=label,
        rater=RATER,
        inclusion_probability=row["inclusion_probability"],
        **verdict,
    )


def read(truth: str, labels: Sequence[str], precision: float, rng: random.Random) -> str:
    """The label that an expert gives to a question, right with this probability."""
    if rng.random() < precision:
        return truth
    return rng.choice([other for other in labels if other != truth])


def work(warehouse: Warehouse, client: Client, world: World, stop: threading.Event) -> None:
    """Answer the queue until `stop`. An answer takes a moment to come back as a row: until then it is remembered."""
    recent: OrderedDict[tuple[Any, ...], None] = OrderedDict()
    # What nobody of the company asked stays in the queue for a person, and must not crowd out the rest.
    strangers: set[tuple[Any, ...]] = set()
    while not stop.wait(POLL_S):
        try:
            rows = warehouse.rows(QUEUE, limit=MAX_AT_ONCE + len(strangers))
        except WarehouseError:
            continue  # it will be back; the queue waits
        for row in rows:
            key = (row["kind"], row["tenant"], row["inference_id"])
            if key in recent or key in strangers:
                continue
            given = answer(world, row)
            if given is None:
                strangers.add(key)
                continue
            client.feedback(given)
            recent[key] = None
            while len(recent) > REMEMBERED:
                recent.popitem(last=False)


def _client(settings: Settings) -> Client:
    """By the gateway with HEADRACE_KEY where there is one, else straight to Kafka."""
    key = settings.key.get_secret_value()
    return Client(url=settings.gateway, key=key, emitter=RATER) if key else Client(settings, emitter=RATER)


def main() -> int:
    """Answer until SIGTERM or SIGINT; exit status 2 where a person can mend what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m simulation.experts", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seed", type=int, default=1, help="which company's truth to know")
    given = parser.parse_args()
    print(f"simulated experts of company {given.seed}: no person answers here", flush=True)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = Settings.from_environ()
        warehouse = Warehouse.connect(settings)
        with _client(settings) as client:
            ready(settings, "experts")
            work(warehouse, client, World(given.seed), stop)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
