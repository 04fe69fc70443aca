"""What keys of the roles ingest and publish can spoil by forging events, on real parts."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from forgeries import by_http, by_kafka, by_otlp, by_the_page
from poisoned_stage import FRONTENDS, LABELLED, PLAN, SHARE, Stage, past, settled
from role_callers import PAGE, key_id

from headrace.access.keys import make
from headrace.access.logins import broker_of
from headrace.access.roles import Role
from headrace.contract.topics import FEEDBACK, INFERENCES
from headrace.embedded.part import Part
from headrace.embedded.server import free_port
from headrace.embedded.stack import parts
from headrace.embedded.supervisor import Supervisor
from headrace.plan import parse
from headrace.process.readiness import responds
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from trainer.curate.rows import Curated

pytestmark = pytest.mark.stack

PARTS = ("streams-0", "serving")


@pytest.fixture(scope="module")
def settings(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = tmp_path_factory.mktemp("poisoned")
    gateway = f"http://127.0.0.1:{free_port()}"
    return stack.replaced(home=home, plan=home / "flywheel.toml", gateway=gateway, embedded=())


@pytest.fixture(scope="module")
def anonymous(database: Settings, settings: Settings) -> Settings:
    """As a program without a password reaches the broker."""
    broker = broker_of(database.home)
    assert broker is not None
    return Settings(home=settings.home, kafka=broker.emitters, embedded=())


@pytest.fixture(scope="module")
def running(settings: Settings) -> Iterator[Supervisor]:
    """The parts of a flywheel that events come by."""
    upstream = f"http://127.0.0.1:{(port := free_port())}/v1"
    settings.plan.write_text(PLAN.format(upstream=upstream))
    plan = parse(settings.plan.read_text())
    simulated = [sys.executable, "-m", "simulation.upstreams", "--port", str(port)]
    wanted = [Part("upstreams", simulated, lambda: responds(f"{upstream}/models"))]
    wanted += [part for part in parts(settings, plan=plan) if isinstance(part, Part) and part.name in PARTS]
    with Supervisor(wanted, settings.home) as up:
        up.wait_ready(60)
        yield up


@pytest.fixture
async def stage(settings: Settings, running: Supervisor, warehouse: Warehouse) -> Any:
    def key(name: str, role: Role, *origins: str) -> str:
        return make(settings.keys, name, "default", frozenset({role}), "test", origins)[1].get_secret_value()

    async with httpx.AsyncClient(base_url=settings.gateway, trust_env=False, timeout=30) as http:
        made = Stage(
            settings,
            warehouse,
            http,
            experts=key("experts", Role.REVIEW),
            frontends=[key(f"frontend-{n}", Role.INGEST) for n in range(FRONTENDS)],
            ingest=key("leaked", Role.INGEST),
            page=key("page", Role.PUBLISH, PAGE),
            supervisor=running,
        )
        await past(made)
        yield made


def taught(curated: Curated) -> set[tuple[str, str]]:
    """What trains: texts and their labels."""
    return {(row.text, row.label) for row in curated.split("train")}


async def test_forged_events_change_no_audit_no_trigger_and_no_more_than_a_share(
    stage: Stage, anonymous: Settings
) -> None:
    """Thousands of forged events of every kind, by key and past the gateway, change no figure from audits, fire nothing
    and teach no more than the plan's share; what may not be said is refused by name or a dead letter."""
    before, taught_before = stage.figures(), stage.curated()
    assert len(before["audits"]) == before["hard"][0]["n"] == LABELLED and before["triggers"] == []

    sent = [await by_http(stage), await by_otlp(stage), await by_the_page(stage), await by_kafka(stage, anonymous)]
    await settled(stage)
    assert min(sent) > 50 and sum(sent) > 1000
    assert stage.figures() == before

    reasons = stage.warehouse.rows("SELECT topic, reason FROM dead_letters FINAL")
    assert all(
        "is an answer of the gateway's" in row["reason"] or "does not speak on" in row["reason"] for row in reasons
    )
    assert {row["topic"] for row in reasons} == {INFERENCES.name, FEEDBACK.name} and len(reasons) > 500
    for query in ("cli/reconcile", "cli/reconcile_full"):
        for row in stage.warehouse.query(query):
            assert (row["missing"], row["duplicated"], row["unacknowledged"]) == (0, 0, 0), row

    after = stage.curated()
    assert after.exclusions["beyond_key_share"] > 50
    by_key = {row["id"]: row["key_id"] for table, name in (("inferences", "inference_id"), ("feedback", "feedback_id"))
              for row in stage.warehouse.rows(f"SELECT {name} AS id, key_id FROM {table}")}  # fmt: skip
    voices = {key_id(stage.ingest), key_id(stage.page), ""}
    for split in ("train", "validation"):
        rows = after.split(split)
        said = Counter(
            voice
            for row in rows
            if row.source == "user"
            for voice in {by_key[row.inference_id], by_key[row.feedback_id]} & voices
        )
        assert max(said.values(), default=0) <= SHARE * len(rows), said
    most = len(voices) * SHARE * len(after.split("train"))
    assert len(taught(after) - taught(taught_before)) <= most and len(taught(taught_before) - taught(after)) <= most
