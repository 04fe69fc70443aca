"""`make bench-router-path`: the router's whole path, from an HTTP request to a label, with its event kept in Kafka.

make bench-router-path                                  all cases
make bench-router-path ARGS="--case int8 --scale 0.1"   one case, a tenth of its requests

One Kafka, one gateway (`python -m serving`) and one client share the machine. The model is MiniLM with a head for five
labels and 411 neighbours, asked questions of the simulated company.

case            onnx, int8: ONNX Runtime, as it is by default and quantised; torch: an engine of kind in_process;
                transformers: the model alone, in this process, one question after another
alone_p50_ms    one connection, one question at a time; alone_p99_ms: likewise
at_50_p50_ms    fifty questions a second, whether answers come or not; at_50_p99_ms: likewise
per_s           CONNECTIONS connections, each with its next question as soon as it is answered
cpu_ms          processor time of the gateway for each of these
rss_mib         memory of the gateway after all of it
missing         answers of which Kafka has no event
goals           of onnx and int8, at a scale of 1; the command ends with 1 where one is missed
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import Any
from uuid import uuid4

os.environ.setdefault("OMP_NUM_THREADS", "1")

import aiohttp
import numpy as np

from benchmarks.options import options
from benchmarks.real_gateway import PLAN, Gateways, gateway
from benchmarks.table import keep, machine, tell
from benchmarks.waiting import calm, process_cpu_s, resident_mib
from headrace.bus.kafka import KafkaConsumer, KafkaProducer
from headrace.contract.control import Promotion, Served, Step
from headrace.contract.topics import INFERENCES, PROMOTIONS
from headrace.models.bases import base_of
from headrace.models.bundle import Manifest, publish
from headrace.models.encoder_base import Encoder
from headrace.models.families import open_as_served
from headrace.models.families.encoder import TunableEncoder
from headrace.models.family import LabelSet, compared_by
from simulation.grammar import World

HOME = Path("var/bench/router-path-run")
LABELS = ("hr", "it", "finance", "product", "out_of_scope")
VERSION = "router@1"
REMEMBERED, ASKED = 411, 500
ALONE, PACED, SATURATED = 1_000, 1_500, 20_000
RATE, CONNECTIONS = 50, 32
TORCH = (
    PLAN.replace("[tasks.router]\n", '[tasks.router]\nengine = "torch"\n') + '[engines.torch]\nkind = "in_process"\n'
)
CASES = {"onnx": PLAN, "int8": PLAN, "torch": TORCH, "transformers": ""}
GOALS = {
    "onnx": {"alone_p50_ms": 5.0, "at_50_p99_ms": 20.0, "per_s": 500.0, "rss_mib": 250.0, "missing": 0.0},
    "int8": {"alone_p50_ms": 2.5, "at_50_p99_ms": 20.0, "per_s": 500.0, "rss_mib": 250.0, "missing": 0.0},
}


def bundle(folder: Path, int8: bool, version: str = VERSION) -> Served:
    """Publish the model below the folder."""
    work = folder / "work"
    work.mkdir(parents=True)
    questions = World(4).questions(2, REMEMBERED)
    tunable = TunableEncoder(base_of("minilm-l6"), LabelSet(LABELS, {label: label for label in LABELS}, {}))
    truth = [LABELS.index(question.label) for question in questions]
    tunable.remember([question.text for question in questions], truth, [1.0] * len(truth), 10)
    tunable.save(work, "int8" if int8 else "head")
    manifest = Manifest(
        version=version,
        task="router",
        job_id=uuid4(),
        attempt=1,
        candidate="probe",
        base="minilm-l6",
        method="probe",
        kind="int8" if int8 else "head",
        labels=LABELS,
        created_at=datetime.now(UTC),
    )
    texts = [question.text for question in questions[:16]]
    said = compared_by(open_as_served(work, manifest), texts).astype(float).tolist()
    (work / "parity.json").write_text(json.dumps({"texts": texts, "log_probabilities": said}))
    published = publish(work, folder / "artifacts", manifest)
    return Served(version=version, artifact=str(published.path), digest=published.digest)


class Client:
    """Asks the gateway; counts what was answered."""

    def __init__(self, url: str, texts: Sequence[str]) -> None:
        self.answered = 0
        self._url = f"{url}/v1/route"
        self._texts = cycle(texts)
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    async def close(self) -> None:
        await self._session.close()

    async def ask(self) -> float:
        """Milliseconds that one question took."""
        began = time.perf_counter()
        async with self._session.post(self._url, json={"text": next(self._texts)}) as response:
            answer = await response.json()
        if response.status != 200:
            raise SystemExit(f"the gateway answered {response.status}: {answer}")
        self.answered += 1
        return (time.perf_counter() - began) * 1000

    async def served(self) -> None:
        """Return when the version answers."""
        while True:
            async with self._session.post(self._url, json={"text": next(self._texts)}) as response:
                self.answered += response.status == 200
                if response.status == 200 and (await response.json())["version"] == VERSION:
                    return
            await asyncio.sleep(0.2)

    async def alone(self, questions: int) -> list[float]:
        return [await self.ask() for _ in range(questions)]

    async def paced(self, questions: int) -> list[float]:
        """Each begins when it is due, late or not."""
        began, asked = time.perf_counter(), []
        for number in range(questions):
            await asyncio.sleep(max(0.0, began + number / RATE - time.perf_counter()))
            asked.append(asyncio.create_task(self.ask()))
        return list(await asyncio.gather(*asked))

    async def saturated(self, questions: int) -> float:
        """Answers a second."""
        began = time.perf_counter()
        await asyncio.gather(*(self.alone(questions // CONNECTIONS) for _ in range(CONNECTIONS)))
        return questions // CONNECTIONS * CONNECTIONS / (time.perf_counter() - began)


async def measured(there: Gateways, served: Served, scale: float) -> dict[str, Any]:
    """One row, of a gateway that answers with the model."""
    (process,) = there.processes
    now = datetime.now(UTC)
    promotion = Promotion(task="router", generation=2, step=Step.STEADY, live=served, since=now, at=now)
    producer, client = KafkaProducer(there.settings), Client(there.url, texts())
    try:
        await producer.start()
        await producer.send(PROMOTIONS, promotion.to_json(), promotion.task.encode())
        await client.served()
        await client.alone(20)
        calm(lambda: process_cpu_s(process.pid))
        alone = await client.alone(int(ALONE * scale))
        paced = await client.paced(int(PACED * scale))
        before, asked = process_cpu_s(process.pid), client.answered
        per_s = await client.saturated(int(SATURATED * scale))
        cpu_s = process_cpu_s(process.pid) - before
        return {
            **_quantiles("alone", alone),
            **_quantiles("at_50", paced),
            "per_s": per_s,
            "cpu_ms": cpu_s * 1000 / max(1, client.answered - asked),
            "rss_mib": resident_mib(process.pid),
            "missing": client.answered - await kept(there, client.answered),
        }
    finally:
        await client.close()
        await producer.stop()


async def kept(there: Gateways, wanted: int) -> int:
    """How many inferences Kafka has, when it has all or no more come."""
    consumer = KafkaConsumer(there.settings, [INFERENCES])
    await consumer.start()
    found = 0
    try:
        while found < wanted and (batch := await consumer.read(5.0)):
            found += sum(len(_events(message.value)) for message in batch)
    finally:
        await consumer.stop()
    return found


def _events(value: bytes | None) -> list[Any]:
    read = json.loads(value or b"[]")
    return read if isinstance(read, list) else [read]


def transformers_alone(scale: float) -> dict[str, Any]:
    """One row: tokenizer, model and head, as its documentation shows it, one question after another."""
    import torch

    torch.set_num_threads(1)
    encoder, asked = Encoder(threads=1), cycle(texts())
    weight = np.random.default_rng(1).normal(size=(encoder.width, len(LABELS))).astype(np.float32)

    def ask() -> float:
        began = time.perf_counter()
        (encoder.embed([next(asked)]) @ weight).argmax()
        return (time.perf_counter() - began) * 1000

    taken = [ask() for _ in range(max(25, int(ALONE * scale)))][20:]
    return {**_quantiles("alone", taken), "per_s": 1000 * len(taken) / sum(taken)}


def texts() -> list[str]:
    return [question.text for question in World(4).questions(1, ASKED)]


def _quantiles(name: str, taken: Sequence[float]) -> dict[str, float]:
    p50, p99 = np.percentile(taken, [50, 99])
    return {f"{name}_p50_ms": float(p50), f"{name}_p99_ms": float(p99)}


def measure(case: str, scale: float, home: Path) -> dict[str, Any]:
    """One row."""
    if not CASES[case]:
        return {"case": case, **transformers_alone(scale)}
    with tempfile.TemporaryDirectory() as folder:
        served = bundle(Path(folder), case == "int8")
        with gateway(home, plan=CASES[case].replace('["hr", "it"]', json.dumps(LABELS))) as there:
            return {"case": case, **asyncio.run(measured(there, served, scale))}


def missed(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Goals that were not reached, in words."""
    for row in rows:
        for name, goal in GOALS.get(row["case"], {}).items():
            if row[name] < goal if name == "per_s" else row[name] > goal:
                yield f"{row['case']}: {name} is {row[name]:.2f}, wanted {goal:g}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, write."""
    parsed = options("router-path", __doc__, CASES, "requests", HOME).parse_args(argv)
    rows = []
    for case in parsed.case or CASES:
        home = parsed.home.absolute() / case
        shutil.rmtree(home, ignore_errors=True)
        rows.append(measure(case, parsed.scale, home))
    columns = dict.fromkeys(name for row in rows for name in row)
    rows = [{name: row.get(name) for name in columns} for row in rows]
    conditions = machine() | {"scale": parsed.scale, "rate": RATE, "connections": CONNECTIONS}
    tell("The router's whole path", conditions, rows)
    keep("router-path", conditions, rows)
    if parsed.scale < 1:
        return 0
    for goal in (found := list(missed(rows))):
        print(f"missed: {goal}")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
