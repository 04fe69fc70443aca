"""Alerts: what is told, to a real receiver over HTTP, whatever fails on the way."""

from __future__ import annotations

import hmac
import json
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, get_args
from uuid import uuid4

import pytest
from following import Process, until

from consumers.alert.alert import TITLES, Alert, signature
from consumers.alert.outbox import Outbox
from headrace import plan
from headrace.contract import ids
from headrace.embedded import stack
from headrace.embedded.server import free_port
from headrace.plan import AlertKind
from headrace.settings import Settings
from headrace.warehouse import Warehouse

KINDS = get_args(AlertKind)
NOW = datetime.now(UTC).replace(microsecond=0)
PLAN = """
version = 1
[tasks.router]
labels = ["hr", "it"]
[tasks.router.incumbent]
url = "http://127.0.0.1:9/v1"
model = "big"
[tasks.router.candidates.probe]
method = "probe"
"""
WEBHOOK = """
[alerts]
webhook = "http://127.0.0.1:{port}/hook"
secret_env = "ALERT_SECRET"
look_s = 0.1
"""


class Receiver:
    """Answers each POST with the next of `answers`, then with 200; keeps what came."""

    def __init__(self, port: int, *answers: int) -> None:
        self.got: list[tuple[dict[str, str], bytes, int]] = []
        self._answers = iter(answers)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                code = next(receiver._answers, 200)
                receiver.got.append((dict(self.headers.items()), body, code))
                self.send_response(code)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def taken(self) -> list[str]:
        """Ids of what was answered with 200, in order."""
        return [json.loads(body)["id"] for _, body, code in self.got if code == 200]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def fresh(clickhouse_server: Settings, empty_warehouse: Warehouse, tmp_path: Path) -> tuple[Settings, Warehouse]:
    """A database of its own, in which telling has begun."""
    rows(empty_warehouse, "cursors", name="alert", reached=text(NOW - timedelta(days=3)))
    own = {"home": tmp_path, "plan": tmp_path / "flywheel.toml", "database": empty_warehouse.database}
    return clickhouse_server.replaced(**own), empty_warehouse


def text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def rows(warehouse: Warehouse, table: str, **fields: Any) -> None:
    warehouse.insert(table, [json.dumps(fields).encode()])


def trigger(warehouse: Warehouse, minute: int) -> None:
    at = NOW - timedelta(minutes=minute)
    rows(
        warehouse, "triggers", trigger_id=str(ids.derived(at, minute)), task="router", kind="drift",
        decided_at=text(at), reason="accuracy fell", detector="shiryaev_roberts", statistic=20411.0,
        threshold=1e4, labels=600,
    )  # fmt: skip


def serve(settings: Settings, port: int, processes: Callable[..., Process]) -> Process:
    settings.plan.write_text(PLAN + WEBHOOK.format(port=port))
    return processes(settings, ["-m", "consumers.alert"], "alert")


def test_kinds_are_the_plans() -> None:
    """Every kind that a plan may name has words, and none has words that no plan may name."""
    assert tuple(TITLES) == KINDS


def test_text_is_one_plain_sentence() -> None:
    """A person's reason brings neither links nor calls into a chat, and numbers are short."""
    alert = Alert(
        uuid4(), "rollback", "router", NOW, "see https://evil.example/x <!channel>\nnow.", {"share": 0.123456789}
    )
    assert alert.text == "headrace, router: a version was rolled back. see !channel now (share 0.123457)."
    told = json.loads(alert.body())
    assert set(told) == {"id", "kind", "task", "at", "reason", "numbers", "text"}
    assert told["reason"] == alert.reason and told["id"] == str(alert.alert_id)


def test_only_a_plan_with_alerts_has_the_part() -> None:
    """`headrace up` supervises it only where the plan says who is told; without the table nothing is called."""
    plans = [plan.parse(PLAN), plan.parse(PLAN + WEBHOOK.format(port=1))]
    names = [[part.name for part in stack.parts(Settings(), plan=one)] for one in plans]
    assert [("alert" in found) for found in names] == [False, True]


@pytest.mark.stack
def test_history_is_not_told(fresh: tuple[Settings, Warehouse]) -> None:
    """The first look begins there: what happened before anybody asked to be told is not told."""
    _, warehouse = fresh
    warehouse.command("TRUNCATE TABLE cursors")
    trigger(warehouse, 1)
    outbox = Outbox(warehouse, KINDS)
    assert [outbox.due(), outbox.due()] == [[], []]
    trigger(warehouse, 2)
    assert [alert.kind for alert in outbox.due()] == ["trigger"]


@pytest.mark.stack
def test_every_kind_is_told_once(fresh: tuple[Settings, Warehouse]) -> None:
    """Each kind of event is found among the rows that the parts write; told, or in a replay, it is not due again."""
    _, warehouse = fresh
    tell_everything(warehouse)
    outbox = Outbox(warehouse, KINDS)
    due = outbox.due()
    assert sorted(alert.kind for alert in due) == sorted([*KINDS, "missing", "rollback"])
    assert all("{" not in alert.text and alert.reason for alert in due)
    assert [alert.reason for alert in due if alert.kind == "detector"] == ["label_psi fires: the mix changed"]
    assert [alert.numbers for alert in due if alert.kind == "dropped"] == [{"dropped": 7.0}]
    only = Outbox(warehouse, ["trigger"]).due()
    assert [alert.kind for alert in only] == ["trigger"]
    for alert in due:
        outbox.told(alert, "delivered", "200 ok")
    tell_everything(warehouse)
    assert outbox.due() == []
    stored = warehouse.rows("SELECT kind, numbers FROM alerts FINAL WHERE kind = 'trigger'")
    assert stored[0]["numbers"]["statistic"] == 20411.0


@pytest.mark.stack
def test_a_detector_that_went_on_firing_while_nothing_came_is_not_told_again(fresh: tuple[Settings, Warehouse]) -> None:
    """A look that sees what the last one saw writes nothing: over an idle week an alarm stands, and is told once."""
    _, warehouse = fresh
    for ago_days, detector, fired in ((6, "label_psi", True), (6, "confidence_ks", False), (0, "label_psi", True),
                                      (0, "confidence_ks", True)):  # fmt: skip
        at = text(NOW - timedelta(days=ago_days))
        rows(warehouse, "evaluations", task="router", version="router@0", generation=1, detector=detector, n=100,
             watermark=at, looked_at=at, ingested_at=at, fired=fired, reason="the mix changed")  # fmt: skip
    due = Outbox(warehouse, KINDS).due()
    assert [alert.reason for alert in due] == ["confidence_ks fires: the mix changed"]


def tell_everything(warehouse: Warehouse) -> None:
    served = [json.dumps({"version": f"router@{number}"}) for number in range(3)]
    at, hour = text(NOW - timedelta(hours=4)), text((NOW - timedelta(hours=5)).replace(minute=0, second=0))
    trigger(warehouse, 5)
    steps = (
        (served[0], "", ""), (served[0], served[1], ""), (served[0], "", ""), (served[0], served[2], ""),
        (served[2], "", served[0]), (served[0], "", served[2]),
    )  # fmt: skip
    for generation, (live, canary, previous) in enumerate(steps, 1):
        rows(warehouse, "promotions", task="router", generation=generation, step="steady", live=live, canary=canary,
             previous=previous, since=at, at=at, reason=f"step {generation}")  # fmt: skip
    for number, state in enumerate(("running", "no_winner", "failed"), 1):
        rows(warehouse, "jobs", job_id=str(ids.derived(NOW, number)), trigger_id=str(uuid4()), task="router",
             number=number, attempt=1, state=state, at=at, heartbeat_at=at, reason="nobody passed")  # fmt: skip
    for minute, fired in enumerate((False, True, True)):
        rows(warehouse, "evaluations", task="router", version="router@0", generation=1, detector="label_psi", n=100,
             watermark=text(NOW + timedelta(minutes=minute)), statistic=0.3, threshold=0.2, fired=fired,
             reason="the mix changed")  # fmt: skip
    rows(warehouse, "evaluations", task="router", generation=1, detector="policy", watermark=at, fired=True, reason="x")
    rows(warehouse, "reconciliations", kind="feedback", emitter="helpdesk", hour=hour, at=text(NOW), missing=3)
    rows(warehouse, "offset_gaps", topic="headrace.feedback", partition=1, first=5, last=7, state="lost", events=3,
         hour=hour, note="gone", checked_at=text(NOW))  # fmt: skip
    rows(warehouse, "stopped_partitions", topic="headrace.feedback", partition=2, at=at, state="stopped", offset=9,
         events=500, poison=400, reason="400 of its last 500 events were bad", by="streams-0")  # fmt: skip
    rows(warehouse, "unreadable", topic="headrace.promotions", key="router", task="router", reason="garbage",
         owner="headrace-rollout-0")  # fmt: skip
    for sequence, dropped in ((1, 0), (2, 7)):
        rows(warehouse, "emitters", emitter="helpdesk", kind="inferences", sequence=sequence, at=at, emitted=90,
             acknowledged=80, dropped=dropped)  # fmt: skip


@pytest.mark.stack
async def test_a_receiver_that_fails_first_gets_it_all(
    fresh: tuple[Settings, Warehouse], processes: Callable[..., Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked again until it takes an alert, in order; each body is signed; a refusal for good is passed over."""
    monkeypatch.setenv("ALERT_SECRET", "hush")
    settings, warehouse = fresh
    receiver = Receiver(port := free_port(), 503, 200, 400)
    for minute in (30, 20, 10):
        trigger(warehouse, minute)
    await serve(settings, port, processes).ready()
    await until(lambda: len(receiver.taken) == 2)
    receiver.close()
    first, again, refused, last = [json.loads(body) for _, body, _ in receiver.got]
    assert first == again and refused["id"] not in receiver.taken and last["at"] > refused["at"] > first["at"]
    for headers, body, _ in receiver.got:
        assert hmac.compare_digest(headers["X-Headrace-Signature"], signature(body, "hush"))
        assert headers["Idempotency-Key"] == json.loads(body)["id"]
    assert first["text"].startswith("headrace, router: it is retrained. accuracy fell (labels 600, statistic 20411")
    await until(lambda: len(told(warehouse)) == 3)
    assert told(warehouse) == {first["id"]: "delivered", refused["id"]: "refused", last["id"]: "delivered"}


@pytest.mark.stack
async def test_a_killed_part_loses_nothing(
    fresh: tuple[Settings, Warehouse], processes: Callable[..., Process]
) -> None:
    """Killed in the middle, with its receiver away and back, each alert arrives; one may come twice, under its id."""
    settings, warehouse = fresh
    for minute in range(60):
        trigger(warehouse, minute)
    part = await serve(settings, port := free_port(), processes).ready()
    receiver = Receiver(port)
    await until(lambda: len(receiver.taken) >= 15)
    part.signal(signal.SIGKILL)
    await part.ended()
    receiver.close()
    part = await serve(settings, port, processes).ready()
    receiver, before = Receiver(port), receiver
    await until(lambda: len(told(warehouse)) == 60)
    taken = before.taken + receiver.taken
    assert len(set(taken)) == 60 and len(taken) <= 61
    part.signal(signal.SIGTERM)
    assert await part.ended() == 0
    receiver.close()


def told(warehouse: Warehouse) -> dict[str, str]:
    return {str(row["alert_id"]): row["state"] for row in warehouse.rows("SELECT alert_id, state FROM alerts FINAL")}
