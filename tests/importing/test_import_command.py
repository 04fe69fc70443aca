"""`headrace import` into the real Kafka, killed on the way, and what analysts see of it in the real ClickHouse."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from warm_processes import HEADRACE, Popen

from headrace.bus import Message
from headrace.bus.kafka import KafkaConsumer
from headrace.cli import app
from headrace.contract.topics import FEEDBACK, INFERENCES, LABELS, Topic
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from streams.decode import Raw
from streams.resolver import Resolver
from streams.rules import Rules
from streams.store import store
from streams.tables import TABLES

pytestmark = pytest.mark.stack

REPOSITORY = Path(__file__).parents[2]
ANSWERS = 200
MANY = 30_000


def command(settings: Settings, *arguments: str | Path) -> Popen:
    """`headrace import …`, started."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
    return Popen(
        "headrace",
        [*HEADRACE, "import", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean | settings.environ(),
        cwd=REPOSITORY,
    )


def said(process: Popen, code: int = 0) -> str:
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, err
    return out + err


async def everything(settings: Settings, topic: Topic) -> list[Message]:
    """All records of a topic."""
    consumer = KafkaConsumer(settings, [topic])
    await consumer.start()
    found: list[Message] = []
    while batch := await consumer.read(0.5):
        found += batch
    await consumer.stop()
    return found


def events(settings: Settings, topic: Topic) -> list[dict[str, Any]]:
    """All events of a topic."""
    return [
        event for message in asyncio.run(everything(settings, topic)) for event in json.loads(message.value or b"[]")
    ]


def test_answers_and_tickets_become_ground_truth(stack: Settings, warehouse: Warehouse, tmp_path: Path) -> None:
    """Answers and the tickets that closed them, from two systems, meet: each answer has the team as its truth."""
    at = 1772452800
    answers, tickets = tmp_path / "answers.jsonl", tmp_path / "tickets.csv"
    rows = [{"ts": at + n, "request": f"r-{n}", "question": f"Question {n}", "routed": "it"} for n in range(ANSWERS)]
    answers.write_text("".join(json.dumps(row) + "\n" for row in rows))
    lines = [f"T-{n},2026-03-{3 + n % 20:02} 09:00,r-{n},{'Service Desk' if n % 4 else 'HR'}" for n in range(ANSWERS)]
    tickets.write_text("\n".join(["ticket,closed_at,request,team", *lines, "T-x,never,r-0,HR"]) + "\n")
    as_answers = ("--as", "inferences", "--id", "request", "--task", "router", "--set", "version=router@0",
                  "--map", "ts=occurred_at", "--map", "question=input", "--map", "routed=label")  # fmt: skip
    as_outcomes = ("--as", "feedback", "--id", "ticket", "--source", "outcome", "--signal", "label", "--task", "router",
                   "--zone", "Europe/Berlin", "--map", "closed_at=occurred_at", "--map", "request=response_id",
                   "--map", "team=label", "--word", "label:HR=hr", "--word", "label:Service Desk=it")  # fmt: skip
    checked = said(command(stack, answers, *as_answers, "--dry-run"))
    assert '"input":"Question 0"' in checked and f"{ANSWERS} events would be stored" in checked
    assert f"{ANSWERS} events are stored, 0 rejected" in said(command(stack, answers, *as_answers))
    outcome = said(command(stack, tickets, *as_outcomes), code=1)
    assert f"{ANSWERS} events are stored, 1 rejected" in outcome and "'never' is not a time" in outcome
    assert "was imported before" in said(command(stack, answers, *as_answers))
    for topic, table in zip((INFERENCES, FEEDBACK, LABELS), TABLES, strict=False):
        messages = asyncio.run(everything(stack, topic))
        raws = [Raw(message.topic, message.partition, message.offset, message.value) for message in messages]
        assert store(raws, table, warehouse, Rules()) == []
    assert Resolver(warehouse).step() == ANSWERS
    truth = warehouse.rows(
        "SELECT label, source, count() AS n FROM ground_truth_current WHERE (tenant, inference_id) IN"
        " (SELECT tenant, inference_id FROM inferences) GROUP BY label, source ORDER BY n"
    )
    assert [tuple(row.values()) for row in truth] == [
        ("hr", "outcome", ANSWERS // 4),
        ("it", "outcome", 3 * ANSWERS // 4),
    ]


def test_an_import_that_is_killed_goes_on(stack: Settings, tmp_path: Path) -> None:
    """After SIGKILL in the middle the same command sends the rest: all is stored, at most a batch was sent twice."""
    form = tmp_path / "form.csv"
    lines = [f"{1772452800 + n},killed-{n},{1 if n % 2 else -1}" for n in range(MANY)]
    form.write_text("\n".join(["at,response_id,value", *lines]) + "\n")
    options = (form, "--as", "feedback", "--source", "user", "--signal", "thumb", "--map", "at=occurred_at")
    process = command(stack, *options)
    state = stack.home / "import"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and rows_done(state, form) < 3000:
        time.sleep(0.005)
    process.kill()
    process.communicate()
    assert 3000 <= rows_done(state, form) < MANY
    told = said(command(stack, *options))
    assert "where it stopped before" in told and f"{MANY} events are stored" in told
    sent = [event["response_id"] for event in events(stack, FEEDBACK) if event["response_id"].startswith("killed-")]
    ids = {event["feedback_id"] for event in events(stack, FEEDBACK) if event["response_id"].startswith("killed-")}
    assert len(ids) == len(set(sent)) == MANY
    assert len(sent) <= MANY + 1000


def rows_done(state: Path, file: Path) -> int:
    with contextlib.suppress(StopIteration, ValueError):
        return int(json.loads(next(state.glob(f"{file.name}.*.json")).read_text())["rows"])
    return 0


def test_the_documented_import(stack: Settings, tmp_path: Path) -> None:
    """The snippet of docs/events.md stores its two tickets as it stands there."""
    blocks = re.findall(r"```sh\n(.*?)```", (REPOSITORY / "docs" / "events.md").read_text(), re.DOTALL)
    (snippet,) = [block for block in blocks if "headrace import" in block]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    run = subprocess.run(
        ["bash", "-ec", snippet],
        env=clean | stack.environ() | {"PATH": path},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    labels = {event["session_id"]: event["label"] for event in events(stack, LABELS) if event["session_id"]}
    assert labels == {"conversation-7": "it", "conversation-8": "hr"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--as", "thumbs"), "--as thumbs: a row is one of feedback and inferences"),
        (("--as", "feedback", "--map", "label"), "--map label: it takes COLUMN=FIELD"),
        (("--as", "feedback", "--zone", "Mars"), "--zone Mars: there is no such time zone"),
        (("--as", "feedback", "--word", "a=b"), "--word a=b: it takes FIELD:TEXT=VALUE"),
        (("--as", "feedback", "--map", "a=label"), "has no column 'a'; it has at, team"),
    ],
)
def test_a_wrong_option_is_one_sentence(
    tmp_path: Path,
    options: tuple[str, ...],
    says: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On standard error, with exit code 2, before anything is sent."""
    (tmp_path / "f.csv").write_text("at,team\n1,2\n")
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "var"))
    with pytest.raises(SystemExit) as caught:
        app(["import", str(tmp_path / "f.csv"), *options])
    told = capsys.readouterr()
    assert caught.value.code == 2 and says in told.err and told.err.count("\n") == 1 and told.out == ""
    assert not (tmp_path / "var").exists()
