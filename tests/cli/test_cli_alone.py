"""The command line by itself: help, the contract, and one sentence for each mistake."""

from __future__ import annotations

import json
import resource
import socket
from pathlib import Path
from typing import Any

import pytest
from slowness import slowness

from headrace.contract.events import new_feedback, new_inference
from headrace.contract.json_schema import MODELS, json_schema
from headrace.embedded.server import free_port
from headrace.settings import Settings


@pytest.fixture
def alone(headrace_with: Any, tmp_path: Path) -> Any:
    """The command line where neither Kafka nor ClickHouse answers."""
    return headrace_with(Settings(home=tmp_path, kafka="127.0.0.1:9", clickhouse="http://127.0.0.1:9"))


def test_help_teaches_and_is_quick(headrace_with: Any, tmp_path: Path) -> None:
    """--help shows every command and an example within half a second of processor time."""
    cold = headrace_with(Settings(home=tmp_path), cold=True)
    seconds = []
    for _ in range(3):
        began = processor_s()
        said = cold("--help")
        seconds.append(processor_s() - began)
    assert said.code == 0
    for word in ("up", "down", "status", "reconcile", "headrace up --detach"):
        assert word in said.out
    assert min(seconds) < 0.5 * slowness()


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["schema", "evnt"], "there is no schema 'evnt'; there are event, inference"),
        (["plan", "check", "nowhere.toml"], "there is no plan at nowhere.toml; set HEADRACE_PLAN"),
        (["emit", "inference", "task=router"], "Inference.version: the field is missing"),
        (["emit", "inference", "task=router", "version=r@1", "lable=it"], "Inference.lable: there is no such field"),
        (["emit", "inference", "router"], "'router' is not a field: write name=value"),
        (["emit", "thing"], "emits an inference or a feedback, not 'thing'"),
        (["emit"], "standard input holds no event"),
        (["sql"], "give one query"),
        (["sql", "@nothing"], "there is no stored query @nothing; `headrace sql @` lists them"),
        (["sql", "SELECT 1"], "ClickHouse at http://127.0.0.1:9 does not answer; start it with `headrace up`"),
        (["sql", "SELECT 1", "-p", "x"], "--param x is not name=value"),
        (["reconcile"], "ClickHouse at http://127.0.0.1:9 does not answer"),
        (["jobs"], "ClickHouse at http://127.0.0.1:9 does not answer"),
        (["deadletters", "show", "somewhere"], "'somewhere' is not a place: write topic/partition/offset/index"),
        (["trigger", "rooter", "--reason", "x"], "the plan has no task 'rooter'; it has router"),
        (
            ["trigger", "router", "--reason", "x"],
            "no Kafka broker answers at 127.0.0.1:9; start one with `headrace up`",
        ),
        (["rollback", "router", "--reason", "x"], "no Kafka broker answers at 127.0.0.1:9"),
        (["emit", "inference", "task=router", "version=r@1"], "no Kafka broker answers at 127.0.0.1:9"),
        (["down"], "is not up in"),
    ],
)
def test_a_mistake_is_one_sentence_on_stderr(alone: Any, command: list[str], sentence: str) -> None:
    """What a person can mend exits 2 with one line, which says what and where, and nothing on stdout."""
    said = alone(*command)
    assert (said.code, said.out) == (2, "")
    assert sentence in said.err
    assert len(said.err.strip().splitlines()) == 1, said.err


def test_up_refuses_a_port_in_use_and_a_missing_plan(headrace_with: Any, tmp_path: Path) -> None:
    """What would fail is told before anything is started: the port and the variable that moves it, or the plan."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        free = Settings(home=tmp_path, kafka=f"127.0.0.1:{port}", clickhouse=f"http://127.0.0.1:{free_port()}")
        said = headrace_with(free)("up")
        assert said.code == 2
        assert f"Port {port} on 127.0.0.1, where kafka would listen, is already in use" in said.err
        assert "HEADRACE_KAFKA" in said.err
    said = headrace_with(Settings(home=tmp_path, plan=tmp_path / "none.toml"))("up")
    assert (said.code, said.out) == (2, "")
    assert "there is no plan at" in said.err


def test_status_says_that_nothing_is_up(alone: Any) -> None:
    """Where headrace is not up, status exits 1 and names the command that starts it."""
    said = alone("status")
    assert said.code == 1
    assert "`headrace up` starts it" in said.err
    assert alone("status", "--json").json == {"stack": None, "tasks": [], "lag": [], "unreadable": []}


def test_a_wrong_plan_names_line_key_and_what_is_allowed(alone: Any, tmp_path: Path) -> None:
    """`plan check` tells a mistake with the file, the line, the key and the keys that are allowed."""
    text = (Path(__file__).parents[2] / "flywheel.toml").read_text("utf-8")
    plan = tmp_path / "plan.toml"
    plan.write_text(text.replace("rate = 0.05", "rite = 0.05"))
    said = alone("plan", "check", str(plan))
    line = 1 + text.splitlines().index("rate = 0.05")
    assert said.code == 2
    assert f"{plan}, line {line}: tasks.router.audit.rite is not a key of the plan; allowed here: rate" in said.err
    plan.write_text(text.replace("rate = 0.05", "rate = 5"))
    assert "tasks.router.audit.rate is 5" in alone("plan", "check", str(plan)).err


def test_the_plan_of_the_repository_is_right(alone: Any) -> None:
    """The plan that comes with headrace passes its own check."""
    said = alone("plan", "check", "flywheel.toml")
    assert said.code == 0
    assert "router: 5 labels, incumbent router@0" in said.out


def test_schema_lists_its_names(alone: Any) -> None:
    """Without a name, each schema is listed with a line that says what it is."""
    said = alone("schema")
    assert [line.split()[0] for line in said.out.splitlines()] == [*MODELS, "warehouse"]


@pytest.mark.parametrize("name", list(MODELS))
def test_each_schema_is_json_schema(alone: Any, name: str) -> None:
    """Every schema names its dialect and version, and each reference in it leads somewhere."""
    schema = json_schema(name)
    assert schema["$schema"].endswith("2020-12/schema")
    assert schema["version"] >= 1
    for node in _nodes(schema):
        if "$ref" in node:
            assert node["$ref"].removeprefix("#/$defs/") in schema["$defs"]
        if isinstance(node.get("type"), str):
            assert node["type"] in ("object", "array", "string", "number", "integer", "boolean", "null")


@pytest.mark.parametrize("name", ["inference", "feedback", "plan"])
def test_schema_prints_what_is_checked(alone: Any, name: str) -> None:
    """What is printed is the schema that events and plans are checked by, unknown fields refused."""
    printed = alone("schema", name).json
    assert printed == json_schema(name)
    assert printed["additionalProperties"] is False


def test_an_events_fields_are_those_of_its_schema() -> None:
    """An event as it is sent has the schema's required fields and no other than its properties."""
    answer = new_inference("router", "router@1")
    for event, name in ((answer, "inference"), (new_feedback(answer.inference_id, "user", "thumb"), "feedback")):
        sent, schema = json.loads(event.to_json()), json_schema(name)
        assert set(schema["required"]) <= sent.keys() <= schema["properties"].keys()


def processor_s() -> float:
    """Processor time of the processes that ended: other than a clock it does not count what waits for a processor."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def _nodes(value: Any) -> Any:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _nodes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _nodes(inner)


def test_acls_prints_what_a_broker_must_allow(alone: Any) -> None:
    """`headrace acls` prints kafka-acls commands for one principal or all, and names what there is."""
    said = alone("acls", "role-ingest", "--principal", "User:desk")
    assert said.code == 0 and said.out.startswith("# User:desk\n")
    for topic in ("inferences", "feedback", "emitters"):
        assert f"--allow-principal User:desk --operation Write --topic headrace.{topic}\n" in said.out
    assert "labels" not in said.out and "Read" not in said.out
    assert "--transactional-id headrace-rollout --resource-pattern-type prefixed" in alone("acls").out
    wrong = alone("acls", "nobody")
    assert wrong.code == 2 and "there are no ACLs for 'nobody'; there are prepare, streams" in wrong.err
