"""Which commands the holder of a key may run, and as whom."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import headrace.client
from headrace.access.keys import make
from headrace.access.roles import SOURCES, Role
from headrace.cli import app
from headrace.contract.events import Event, Source

SPEAKERS = {Role.INGEST, Role.OUTCOME, Role.REVIEW}
# Each would go on to a mistake that a person can mend, or find that nothing runs.
COMMANDS = {
    ("sql", "SELECT 1"): {Role.READ},
    ("sql", "SELECT 1", "--as-owner"): {Role.OPERATE},
    ("reconcile",): {Role.READ},
    ("why", "router"): {Role.READ},
    ("jobs",): {Role.READ},
    ("savings",): {Role.READ},
    ("taught", "u-1"): {Role.READ},
    ("dataset", "list"): {Role.READ},
    ("dataset", "show", "latest"): {Role.READ},
    ("dataset", "diff", "router@1", "latest"): {Role.READ},
    ("dataset", "export", "latest", "-o", "rows.csv"): {Role.READ},
    ("dataset", "build", "nothing"): {Role.OPERATE},
    ("report", "router@1"): {Role.READ},
    ("suites", "history", "router"): {Role.READ},
    ("status",): {Role.READ},
    ("deadletters", "list"): {Role.READ},
    ("deadletters", "show", "x"): {Role.READ},
    ("deadletters", "stopped"): {Role.READ},
    ("deadletters", "replay"): {Role.OPERATE},
    ("deadletters", "accept", "x"): {Role.OPERATE},
    ("trigger", "nothing", "--reason", "x"): {Role.OPERATE},
    ("cancel", "nothing", "--reason", "x"): {Role.OPERATE},
    ("rollback", "nothing", "--reason", "x"): {Role.OPERATE},
    ("promote", "nothing", "router@1", "--reason", "x"): {Role.OPERATE},
    ("approve", "nothing", "--reason", "x"): {Role.OPERATE},
    ("pin", "nothing", "router@1", "--tenant", "acme", "--reason", "x"): {Role.OPERATE},
    ("divert", "nothing", "0.5", "--reason", "x"): {Role.OPERATE},
    ("keys", "add", "x", "--role", "nothing"): {Role.OPERATE},
    ("keys", "list"): {Role.OPERATE},
    ("keys", "revoke", "nothing"): {Role.OPERATE},
    ("keys", "rotate", "nothing"): {Role.OPERATE},
    ("emit", "inference", "task=router", "version=router@0"): {Role.INGEST},
    **{
        ("emit", "feedback", "session_id=s", f"source={source}", "signal=comment"): {
            role for role in SPEAKERS if source in SOURCES[role]
        }
        for source in Source
    },
}
sent: list[Event] = []


class Sent:
    """Stands for headrace.client.AsyncClient: keeps what is sent."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    async def __aenter__(self) -> Sent:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def send(self, events: Sequence[Event]) -> None:
        sent.extend(events)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(headrace.client, "AsyncClient", Sent)
    for name, value in (("HOME", tmp_path), ("KAFKA", "127.0.0.1:9"), ("CLICKHOUSE", "http://127.0.0.1:9")):
        monkeypatch.setenv(f"HEADRACE_{name}", str(value))
    sent.clear()
    return tmp_path


def run(*command: str) -> int:
    try:
        app([*command], standalone_mode=False)
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


@pytest.mark.parametrize("role", Role)
def test_each_command_takes_its_roles(
    home: Path, role: Role, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without one of them it ends with exit code 2 and one sentence that names them, and has done nothing."""
    origins = ["https://a.example"] if role is Role.PUBLISH else []
    key, text = make(home / "keys.json", "held", "acme", frozenset({role}), "test", origins)
    monkeypatch.setenv("HEADRACE_KEY", text.get_secret_value())
    for command, roles in COMMANDS.items():
        sent.clear()
        code, said = run(*command), capsys.readouterr()
        refused = "takes a key with the role" in said.err
        assert refused is (role not in roles), (command, said.err)
        if refused:
            assert (code, said.out, sent) == (2, "", []) and said.err.count("\n") == 1
        elif sent:
            assert {(event.tenant, event.key_id) for event in sent} == {("acme", key.id)}
        assert text.get_secret_value().rsplit("_", 1)[1] not in said.out + said.err


def test_without_a_key_the_homes_owner_may_do_everything(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No command is refused, any tenant may be named, and no key id is."""
    for command in COMMANDS:
        run(*command)
    run("emit", "inference", "task=router", "version=router@0", "tenant=globex")
    said = capsys.readouterr()
    assert "takes a key with the role" not in said.err
    assert {event.tenant for event in sent} == {"default", "globex"} and {event.key_id for event in sent} == {""}
    assert run("emit", "inference", "task=router", "version=router@0", "key_id=0123456789") == 2
