"""A flywheel with a past of audited and volunteered answers, which forged events are to leave as it is."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from role_callers import key_id

from headrace.access.proofs import Proofs
from headrace.bus.kafka import KafkaProducer
from headrace.bus.kafka.lag import lag_reader
from headrace.contract.control import Promotion, Served, Step
from headrace.contract.events import Feedback, Inference, new_feedback, new_inference, pack
from headrace.contract.ids import uuid7
from headrace.contract.topics import (
    DEAD_LETTERS,
    EMITTERS,
    EVENTS,
    INFERENCES,
    PROMOTIONS,
)
from headrace.embedded.supervisor import Supervisor
from headrace.plan import Curation, Privacy
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from streams.worker import GROUP
from trainer.curate import sources
from trainer.curate.rows import Curated, Rules
from trainer.curate.selection import curate

LABELLED, VOLUNTEERED, TOKENS = 300, 240, 12
EXPERTS = ("hr", "it", "finance", "product", "out_of_scope")
SHARE = 0.1
FRONTENDS = 12
PLAN = """
version = 1
[tasks.router]
labels = ["hr", "it", "finance", "product", "out_of_scope"]
[tasks.router.incumbent]
version = "router@0"
url = "{upstream}"
model = "incumbent-70b"
[tasks.router.audit]
rate = 1.0
[tasks.router.windows]
size_s = 600
lateness_s = 0
rolling = 6
refresh_s = 0.2
[tasks.router.triggers]
hard_threshold = 2e4
reference_labels = 300
cheaper_after_labels = 0
cool_down_s = 0
[tasks.router.candidates.probe]
method = "probe"
"""


@dataclass
class Stage:
    """A gateway with keys and a streams worker with its monitor, and what they have seen so far.

    frontends: keys of honest agent frontends; the last three are the attacker's, by leak or by reading a page
    """

    settings: Settings
    warehouse: Warehouse
    http: httpx.AsyncClient
    experts: str
    frontends: list[str]
    ingest: str
    page: str
    supervisor: Supervisor
    answers: list[Inference] = field(default_factory=list)
    labels: list[Feedback] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    async def post(self, path: str, key: str, content: bytes, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return await self.http.post(path, content=content, headers={"authorization": f"Bearer {key}"} | named)

    async def until(self, sql: str, within_s: float = 60.0) -> None:
        """Return when the query's first column is 1."""
        async with asyncio.timeout(within_s):
            while not next(iter((await asyncio.to_thread(self.warehouse.rows, sql))[0].values())):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    def figures(self) -> dict[str, Any]:
        """Everything that rests on audits: labels, accuracy, the hard trigger's evidence, triggers."""
        queries = {
            "audits": "SELECT * FROM audit_current ORDER BY toUInt128(inference_id)",
            "accuracy": "SELECT version, n, correct, value, low, high FROM accuracy"
            " ORDER BY watermark DESC, known_at DESC LIMIT 1 BY task, version",
            "by": "SELECT by, name, audit_labelled, audit_errors, audit_value, audit_low, audit_high"
            " FROM accuracy_latest WHERE audit_labelled > 0 ORDER BY by, name",
            "hard": "SELECT n, statistic, threshold, fired, reason FROM evaluations WHERE detector = 'shiryaev_roberts'"
            " AND n > 0 ORDER BY watermark DESC, ingested_at DESC LIMIT 1",
            "triggers": "SELECT * FROM triggers",
            "arms": "SELECT count() AS n FROM inferences FINAL WHERE arm != 'live'",
        }
        return {name: self.warehouse.rows(sql) for name, sql in queries.items()}

    def curated(self) -> Curated:
        """The data set that a job would get now."""
        rules = Rules(
            task="router",
            labels=EXPERTS,
            curation=Curation(max_share_per_key=SHARE),
            privacy=Privacy(),
            now=datetime.now(UTC),
            test_from=self.answers[0].occurred_at,
            live_version="router@0",
            live_loadable=False,
        )
        return curate(sources.answers(self.warehouse, "router"), rules)


async def past(stage: Stage) -> None:
    """Answers through frontends with a key each; experts labelled most of them, users volunteered on the others."""
    start, random_, proofs = datetime.now(UTC) - timedelta(minutes=10), random.Random(1), Proofs.of(stage.settings)
    live = Served(version="router@0", errors=20, labelled=200)
    promotion = Promotion(task="router", generation=1, step=Step.STEADY, live=live, since=start, at=start)
    said: dict[str, list[Feedback]] = {key: [] for key in stage.frontends}
    for n in range(LABELLED + VOLUNTEERED):
        at = start + timedelta(seconds=1 + n)
        key, label = stage.frontends[n % FRONTENDS], random_.choice(EXPERTS)
        answer = new_inference(
            "router", "router@0", inference_id=proofs.marked(uuid7(at)), occurred_at=at, label=label,
            input=f"question number {n} about thing {n * 7919}", session_id=f"s{n}", user_ref=f"user-{n % 60}",
            trace_id=f"{n:032x}", span_id=f"{n:016x}", response_id=f"resp-{n}",
            key_id=key_id(key), emitter="gateway-then",
        )  # fmt: skip
        stage.answers.append(proofs.sign(answer))
        told, later = random_.choice(EXPERTS) if random_.random() < 0.1 else label, at + timedelta(seconds=0.5)
        about = {"task": "router", "occurred_at": later}
        if n < LABELLED:
            stage.labels.append(
                new_feedback(answer.inference_id, "audit", "label", label=told, inclusion_probability=1.0, **about)
            )
        elif n % 3:
            said[key].append(new_feedback(answer.inference_id, "user", "thumb", value=1, **about))
        else:
            said[key].append(new_feedback(answer.inference_id, "user", "correction", label=told, **about))
    producer = KafkaProducer(stage.settings)
    await producer.start()
    await producer.send(PROMOTIONS, promotion.to_json(), b"router")
    for first in range(0, len(stage.answers), 100):
        await producer.send(INFERENCES, pack(stage.answers[first : first + 100]), b"1")
    await producer.stop()
    for key, events in ((stage.experts, stage.labels), *said.items()):
        (await stage.post("/v1/events", key, pack(events))).raise_for_status()
    for n in range(TOKENS):
        body = {"text": f"a question for the page {n}", "user_ref": f"user-{n}"}
        asked = await stage.post("/v1/route", stage.frontends[0], json.dumps(body).encode())
        stage.tokens.append(asked.raise_for_status().headers["x-headrace-token"])
    await stage.until(
        f"SELECT count() = {LABELLED}"
        f" AND (SELECT max(n) FROM evaluations WHERE detector = 'shiryaev_roberts') = {LABELLED}"
        f" AND (SELECT count() FROM feedback) = {LABELLED + VOLUNTEERED}"
        f" AND (SELECT count() FROM inferences) = {LABELLED + VOLUNTEERED + TOKENS} FROM audit_current"
    )


async def settled(stage: Stage) -> None:
    """Return when the gateway has told its last counts, workers have stored everything and the monitor has looked."""
    (gateway,) = (part for part in stage.supervisor.status().parts if part.name == "serving")
    assert gateway.pid is not None
    os.kill(gateway.pid, signal.SIGTERM)
    async with asyncio.timeout(60), lag_reader(stage.settings, GROUP) as lag:
        while gateway.pid in [part.pid for part in stage.supervisor.status().parts]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        for topics in ((*EVENTS, EMITTERS), (DEAD_LETTERS,)):
            while any(place.records for place in (await lag.read(topics)).values()):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    stored = "(SELECT max(ingested_at) FROM feedback), (SELECT max(ingested_at) FROM inferences)"
    await stage.until(f"SELECT max(known_at) > greatest({stored}) FROM strata")
