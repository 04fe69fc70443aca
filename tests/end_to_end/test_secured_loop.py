"""Every part on servers as a company runs them: Kafka over SASL_SSL with SCRAM and ACLs, ClickHouse over https."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from reduced_plan import reduced_plan
from rich.console import Console
from role_callers import Callers, key_id, key_of_each_role
from secured_servers import FLYWHEEL, Company, company

from headrace import plan
from headrace.access.roles import Role
from headrace.bus.kafka import KafkaProducer
from headrace.cli.stack import prepare
from headrace.contract.control import Trigger, TriggerKind
from headrace.contract.events import new_feedback
from headrace.contract.ids import uuid7
from headrace.contract.topics import TRIGGERS
from headrace.embedded import stack
from headrace.embedded.part import Part
from headrace.embedded.server import free_port
from headrace.embedded.supervisor import Supervisor
from headrace.process.readiness import responds
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from simulation.demo.acts import Pace
from simulation.demo.run import EXAMPLE_UPSTREAM, Keys, Options, run
from simulation.demo.traffic import Traffic

pytestmark = pytest.mark.stack

PARTS = ("streams", "judge", "retrain", "rollout", "serving", "console")


@dataclass(frozen=True)
class Running:
    """Parts, each with a login of its own."""

    made: Company
    settings: Settings
    supervisor: Supervisor
    warehouse: Warehouse

    def row(self, sql: str, within_s: float = 30.0) -> dict[str, Any]:
        """The first row of the query, once there is one."""
        deadline = time.monotonic() + within_s
        while not (rows := self.warehouse.rows(sql)):
            assert time.monotonic() < deadline, sql
            time.sleep(0.05)
        return rows[0]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("secured")
    with company(home) as made:
        urls = {name: f"http://127.0.0.1:{free_port()}" for name in ("gateway", "console")}
        settings = made.settings.replaced(plan=home / "flywheel.toml", **urls)
        port = free_port()
        upstream = f"http://127.0.0.1:{port}/v1"
        settings.plan.write_text(reduced_plan().replace(EXAMPLE_UPSTREAM, upstream))
        prepare(made.as_("prepare", database=settings.database))
        simulated = [sys.executable, "-m", "simulation.upstreams", "--port", str(port)]
        wanted = [Part("upstreams", simulated, lambda: responds(f"{upstream}/models"))]
        wanted += [_part(settings, made, name) for name in PARTS]
        with Supervisor(wanted, home) as supervisor:
            supervisor.wait_ready(60)
            warehouse = Warehouse.connect(settings)
            yield Running(made, settings, supervisor, warehouse)
            warehouse.close()


def _part(settings: Settings, made: Company, name: str) -> Part:
    login = {field: getattr(made.as_(name), field) for field in ("kafka_user", "kafka_password")}
    own = settings.replaced(**login)
    found = stack.parts(own, plan=plan.load(settings.plan))
    return next(part for part in found if isinstance(part, Part) and part.name.split("-")[0] == name)


def test_one_event_through_every_process(running: Running) -> None:
    """An answer, a complaint, its verdict, a first promotion and a job, each written by the part that may write it."""
    with httpx.Client(base_url=running.settings.gateway, trust_env=False, timeout=30) as gateway:
        answer = gateway.post("/v1/route", json={"text": "Where is my payslip?"}).raise_for_status().json()
        complaint = new_feedback(answer["inference_id"], "user", "thumb", value=-1)
        gateway.post("/v1/events", content=complaint.to_json()).raise_for_status()
    where = f"WHERE inference_id = toUUID('{answer['inference_id']}')"
    assert running.row(f"SELECT label FROM inferences {where}")["label"] == answer["label"]
    assert running.row(f"SELECT blame FROM feedback {where} AND source = 'judge'")["blame"]
    first = running.row("SELECT step, generation FROM promotions WHERE task = 'router'")
    assert first["step"] == "steady"
    asyncio.run(_trigger(running.made.as_("role-operate"), first["generation"]))
    job = running.row("SELECT state, reason FROM jobs WHERE task = 'router' AND state NOT IN ('claimed', 'running')")
    assert (job["state"], "not enough labels" in job["reason"]) == ("waiting", True), job
    assert httpx.get(f"{running.settings.console}/healthz", trust_env=False).is_success
    assert {part.restarts for part in running.supervisor.status().parts} == {0}


async def _trigger(settings: Settings, generation: int) -> None:
    now = datetime.now(UTC)
    made = Trigger(
        trigger_id=uuid7(now),
        task="router",
        kind=TriggerKind.MANUAL,
        decided_at=now,
        reason="a test",
        generation=generation,
        version="router@0",
        test_from=now,
    )
    producer = KafkaProducer(settings)
    await producer.start()
    await producer.send(TRIGGERS, made.to_json(), b"router")
    await producer.stop()


@pytest.mark.acceptance
@pytest.mark.timeout(2400)
def test_the_whole_loop(tmp_path: Path) -> None:
    """Both acts of the demo, on a broker that takes SASL_SSL with SCRAM alone and a warehouse by https, with a key of
    each role that is rotated between the acts."""
    first = key_of_each_role(tmp_path / "keys.json")
    of_experts, supervisors, renewed = tmp_path / "experts.key", list[Supervisor](), dict[Role, str]()
    of_experts.write_text(first[Role.REVIEW])

    async def rotate(traffic: Traffic) -> None:
        async def switch(keys: dict[Role, str]) -> None:
            renewed.update(keys)
            await traffic.show(keys[Role.INGEST])
            of_experts.write_text(keys[Role.REVIEW])
            (experts,) = (part for part in supervisors[0].status().parts if part.name == "experts")
            assert experts.pid is not None
            os.kill(experts.pid, signal.SIGTERM)

        settings = Settings(home=tmp_path, gateway=traffic.gateway)
        async with httpx.AsyncClient(base_url=traffic.gateway, trust_env=False, timeout=30) as http:
            await Callers(settings, http, first).rotate(switch)

    with company(tmp_path) as made:
        shared = made.as_(FLYWHEEL)
        named = ("embedded", "kafka", "clickhouse", "analyst_password")
        servers = {
            name: getattr(shared, name)
            for name in Settings.model_fields
            if name in named or name.startswith(("kafka_", "clickhouse_"))
        }
        options = Options(
            seed=11,
            home=tmp_path / "demo",
            plan=reduced_plan(),
            pace=Pace(patience_s=900),
            servers=servers | {"keys": tmp_path / "keys.json"},
            started=supervisors.append,
            keys=Keys(first[Role.INGEST], of_experts),
            between_acts=rotate,
        )
        report = run(options, Console())
        with closing(Warehouse.connect(shared)) as warehouse:
            brought = "SELECT groupUniqArray(key_id) AS keys FROM "
            (asked,) = warehouse.rows(brought + "inferences WHERE arm != 'shadow'")
            (reacted,) = warehouse.rows(brought + "feedback WHERE source = 'implicit'")
            (labelled,) = warehouse.rows(brought + "feedback WHERE source = 'audit'")
    assert report["conditions"]["ended"] == "both acts were played"
    assert all(act["winner"] for act in report["acts"])
    assert report["requests"]["failed"] == 0
    assert report["events"]["missing"] == report["events"]["duplicated"] == 0
    for row, role in ((asked, Role.INGEST), (reacted, Role.INGEST), (labelled, Role.REVIEW)):
        assert set(row["keys"]) == {key_id(first[role]), key_id(renewed[role])}
