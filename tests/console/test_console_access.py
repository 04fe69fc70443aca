"""Who may look at the console: sessions, wrong keys, other sites' pages."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from keys_file import KeysFile
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from console.access import (
    MAX_ADDRESSES,
    MAX_SESSIONS,
    MAX_WRONG,
    SESSION_S,
    WINDOW_S,
    Access,
    TooManyWrong,
    WrongKey,
)
from console.gate import COOKIE, Gate
from console.signing import routes
from headrace.access.key_ring import KeyRing
from headrace.access.roles import Principal

READ, OPERATE, INGEST = "hr_1_read", "hr_2_operate", "hr_3_ingest"
URL, LIVE = "http://127.0.0.1:8081", "ws://127.0.0.1:8081/live"
OTHER_SITES = ["http://evil.example", "null", "http://127.0.0.1:9999", "https://127.0.0.1:8081.evil.example"]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Told:
    """A console with keys, whose pages are a word each."""

    def __init__(self, keys: Any, local: bool = True) -> None:
        self.clock, self.signed_in = Clock(), list[tuple[str, str]]()
        self.access = Access(keys, local, self.clock)

        async def page(request: Request) -> PlainTextResponse:
            return PlainTextResponse("figures")

        async def live(socket: WebSocket) -> None:
            await socket.accept()
            with contextlib.suppress(WebSocketDisconnect):
                while True:
                    await socket.send_text(await socket.receive_text())

        def record(principal: Principal, address: str) -> None:
            self.signed_in.append((principal.name, address))

        pages = [Route(path, page, methods=["GET", "POST"]) for path in ("/", "/healthz", "/_nicegui/x")]
        self.app = Starlette(routes=[*routes(self.access, record), *pages, WebSocketRoute("/live", live)])
        self.app.add_middleware(Gate, access=self.access)

    def client(self, url: str = URL) -> TestClient:
        return TestClient(self.app, base_url=url, follow_redirects=False)


def post(client: TestClient, path: str, origin: str = URL, **fields: str) -> Any:
    return client.post(path, data=fields, headers={"Origin": origin} if origin else {})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    keys = tmp_path / "keys"
    keys.write_text(f"{READ} 1 read\n{OPERATE} 2 operate\n{INGEST} 3 ingest,publish,outcome,review\n")
    return keys


@pytest.fixture
def told(file: Path) -> Told:
    return Told(KeysFile(file))


@pytest.fixture
def signed(told: Told) -> Iterator[TestClient]:
    """Somebody who has signed in."""
    with told.client() as client:
        assert post(client, "/sign-in", key=READ).status_code == 303
        yield client


def test_without_keys_everybody_on_this_machine_looks(tmp_path: Path) -> None:
    """While there is no key the page is open to this machine's own names, under any port, and to no other name."""
    open_to_all = Told(KeyRing(tmp_path / "none.json"))
    for host in ("127.0.0.1:8081", "localhost:9000", "[::1]:8081"):
        assert open_to_all.client(f"http://{host}").get("/").text == "figures"
    for host in ("rebound.example", "rebound.example:8081", "10.0.0.7:8081", "127.0.0.1.evil.example"):
        assert open_to_all.client(f"http://{host}").get("/").status_code == 403
    assert open_to_all.client("http://rebound.example").get("/healthz").status_code == 200
    strange = Told(KeyRing(tmp_path / "none.json"), local=False).client().get("/_nicegui/x")
    assert (strange.status_code, strange.text) == (401, "sign in first")


def test_with_keys_only_a_session_looks(told: Told) -> None:
    """Each page and each of its files takes a session; the page itself leads to the sign-in form; health does not."""
    with told.client() as client:
        assert (client.get("/").status_code, client.get("/").headers["location"]) == (303, "/sign-in")
        assert client.get("/_nicegui/x").status_code == 401
        assert client.get("/healthz").text == "figures"
        form = client.get("/sign-in")
        assert 'name="key"' in form.text and "form-action 'self'" in form.headers["content-security-policy"]
        assert form.headers["x-frame-options"] == "DENY" and form.headers["cache-control"] == "no-store"
        client.cookies.set(COOKIE, "made-up")
        assert client.get("/_nicegui/x").status_code == 401
        with pytest.raises(WebSocketDisconnect), client.websocket_connect(LIVE, headers={"Origin": URL}):
            pass


@pytest.mark.parametrize("key", [READ, OPERATE])
def test_a_key_that_may_look_gives_a_session(told: Told, key: str, caplog: pytest.LogCaptureFixture) -> None:
    """The cookie is random, for this site and no script, and lives 12 hours; who signed in is told, and no key is."""
    with told.client() as client, caplog.at_level(logging.DEBUG):
        answer = post(client, "/sign-in", key=f" {key} ")
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        cookie = answer.headers["set-cookie"].lower()
        assert all(word in cookie for word in ("httponly", "samesite=strict", "max-age=43200", "path=/"))
        assert "secure" not in cookie and key not in cookie
        assert client.get("/").text == "figures" and client.get("/").headers["x-frame-options"] == "DENY"
        with client.websocket_connect(LIVE, headers={"Origin": URL}) as socket:
            socket.send_text("hello")
            assert socket.receive_text() == "hello"
    assert told.signed_in == [(f"holder of {key[3]}", "testclient")]
    assert key not in caplog.text


def test_behind_https_the_cookie_is_secure(told: Told) -> None:
    """Over https the browser keeps the cookie from plain connections."""
    url = "https://console.example.com"
    with told.client(url) as client:
        assert "secure" in post(client, "/sign-in", url, key=READ).headers["set-cookie"].lower()
        assert client.get("/").text == "figures"


@pytest.mark.parametrize("key", ["hr_9_unknown", "", INGEST, "\N{SNOWMAN}", "<script>"])
def test_other_keys_give_none(told: Told, key: str) -> None:
    """An unknown key, and one whose roles may not look, give no session and one sentence without the key."""
    with told.client() as client:
        answer = post(client, "/sign-in", key=key)
        assert answer.status_code in (400, 403) and "set-cookie" not in answer.headers
        assert not key or key not in answer.text
        assert client.get("/_nicegui/x").status_code == 401
    assert told.signed_in == []


def test_a_session_ends_with_its_time_its_key_or_by_signing_out(told: Told, file: Path) -> None:
    """After 12 hours, with the key's revocation, and by signing out nothing is shown any more."""
    for end in ("time", "revoked", "signed out"):
        with told.client() as client:
            post(client, "/sign-in", key=READ)
            assert client.get("/").text == "figures"
            if end == "time":
                told.clock.now += SESSION_S
            elif end == "revoked":
                text = file.read_text()
                file.write_text(text.replace(READ, "hr_other"))
                assert client.get("/_nicegui/x").status_code == 401
                file.write_text(text)
            else:
                assert post(client, "/sign-out").headers["location"] == "/sign-in"
                assert client.cookies.get(COOKIE) is None
            assert client.get("/_nicegui/x").status_code == 401, end


def test_an_open_page_is_closed_with_its_session(signed: TestClient, file: Path) -> None:
    """A websocket that was opened with a key that is revoked then says nothing more, and is closed."""
    with signed.websocket_connect(LIVE, headers={"Origin": URL}) as socket:
        socket.send_text("one")
        assert socket.receive_text() == "one"
        file.write_text("")
        socket.send_text("two")
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()
    assert closed.value.code == 4401


@pytest.mark.parametrize("origin", OTHER_SITES)
def test_another_sites_page_is_refused(signed: TestClient, origin: str) -> None:
    """Whatever the browser sends along, another site's page opens no websocket, posts nothing and reads nothing."""
    refused: list[Callable[[], Any]] = [
        lambda: signed.get("/", headers={"Origin": origin}),
        lambda: post(signed, "/sign-out", origin),
        lambda: post(signed, "/sign-in", origin, key=READ),
        lambda: signed.post("/_nicegui/x", headers={"Origin": origin}),
    ]
    assert [one().status_code for one in refused] == [403] * 4
    with pytest.raises(WebSocketDisconnect), signed.websocket_connect(LIVE, headers={"Origin": origin}):
        pass
    assert signed.get("/").text == "figures", "it is signed in still"


def test_what_names_no_page_posts_nothing(signed: TestClient) -> None:
    """A POST or a websocket without an Origin is refused: browsers always send one."""
    assert post(signed, "/sign-out", "").status_code == 403
    with pytest.raises(WebSocketDisconnect), signed.websocket_connect(LIVE):
        pass


def test_wrong_keys_are_limited(told: Told) -> None:
    """After ten wrong keys within a minute from one address even the right one waits; other addresses do not."""
    with told.client() as client:
        for _ in range(10):
            assert post(client, "/sign-in", key="hr_9_guess").status_code == 403
        assert post(client, "/sign-in", key=READ).status_code == 429
        told.access.sign_in(READ, "10.0.0.7")
        told.clock.now += WINDOW_S
        assert post(client, "/sign-in", key=READ).status_code == 303


def test_sessions_and_remembered_wrong_keys_are_bounded(file: Path) -> None:
    """However many sign in or guess, the oldest go."""
    access = Access(KeysFile(file), True)
    first, _ = access.sign_in(READ, "a")
    for _ in range(MAX_SESSIONS):
        last, _ = access.sign_in(READ, "a")
    assert access.session(first) is None and access.session(last) is not None
    for _ in range(MAX_WRONG):
        with pytest.raises(WrongKey):
            access.sign_in("guess", "one")
    with pytest.raises(TooManyWrong):
        access.sign_in(READ, "one")
    for number in range(MAX_ADDRESSES):
        with pytest.raises(WrongKey):
            access.sign_in("guess", f"address-{number}")
    access.sign_in(READ, "one")


def test_a_form_that_is_none_is_refused(told: Told) -> None:
    """A body that is too large or is no form costs nothing and gives nothing."""
    with told.client() as client:
        for body in (b"key=" + b"x" * 10_000, b"\xff\xfe", b"", b"nokey=1"):
            assert client.post("/sign-in", content=body, headers={"Origin": URL}).status_code == 400
