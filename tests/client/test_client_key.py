"""Where a client finds its key, and what it does with one that was pasted with more."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from headrace.client import Client
from headrace.errors import SettingsError
from headrace.settings import Settings


@pytest.fixture
def gateway() -> Iterator[tuple[str, list[str]]]:
    """An address that takes events, and the Authorization headers that came."""
    came: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came.append(self.headers.get("Authorization", ""))
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(202)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", came
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("how", ["argument", "variable", "file"])
@pytest.mark.parametrize("text", ["hr_0123_secret", " hr_0123_secret\n", "Bearer hr_0123_secret"])
def test_the_key_of_a_client(
    gateway: tuple[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, text: str
) -> None:
    """Given, or in HEADRACE_KEY, or in the file that HEADRACE_KEY_FILE names; blanks and `Bearer` are no part of it."""
    url, came = gateway
    (tmp_path / "key").write_text(text)
    if how == "variable":
        monkeypatch.setenv("HEADRACE_KEY", text)
    elif how == "file":
        monkeypatch.setenv("HEADRACE_KEY_FILE", str(tmp_path / "key"))
    with Client(url=url, key=text if how == "argument" else "") as client:
        client.feedback(session_id="s-1", source="user", signal="thumb", value=1)
    assert came == ["Bearer hr_0123_secret"]


def test_a_key_that_is_none_is_not_shown() -> None:
    """The sentence says so before anything is sent, and does not hold the key."""
    for make in (
        lambda: Client(url="http://127.0.0.1:1", key="hr_a b"),
        lambda: Settings.from_environ({"HEADRACE_KEY": "hr_ä"}),
    ):
        with pytest.raises(SettingsError, match="the API key has blanks or signs that no key has") as caught:
            make()
        assert "hr_a" not in str(caught.value) and "hr_ä" not in str(caught.value)
