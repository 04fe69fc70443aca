"""Names of processes that several machines run: they differ by the host's name."""

from __future__ import annotations

import re
import socket

import pytest

from headrace.client import Client
from headrace.process.readiness import PART_VARIABLE, member_name


def test_members_of_two_machines_have_two_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same part on another host is another member of its group, under a supervisor and without one."""
    names = set()
    for host in ("box1.example.com", "box2"):
        monkeypatch.setattr(socket, "gethostname", lambda host=host: host)
        for part in ("", "streams-1"):
            monkeypatch.setenv(PART_VARIABLE, part)
            names.add(member_name("streams-0"))
    assert names == {"box1-streams-0", "box1-streams-1", "box2-streams-0", "box2-streams-1"}


def test_an_emitter_names_its_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the host is called, the name begins with the program's and fits an event's field."""
    monkeypatch.setattr(socket, "gethostname", lambda: "röuter host/" + "x" * 300)
    with Client(kafka="127.0.0.1:1", emitter="d" * 150) as client:
        assert re.fullmatch(r"d{150}\.r-uter-host-x{20}\.\d+\.[0-9a-f]{8}", client.emitter)
        assert len(client.emitter) <= 200
