"""Who may speak to the embedded ClickHouse at all: not a web page, not without a password, not slowly."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from email.message import Message

import httpx
import pytest

from headrace.embedded.clickhouse import ClickHouseServer, guests
from headrace.embedded.clickhouse.errors import Refused
from headrace.embedded.clickhouse.front import MAX_CONNECTIONS
from headrace.embedded.clickhouse.guests import Guests
from headrace.embedded.clickhouse.origin import Origin
from headrace.embedded.clickhouse.request import Users

pytestmark = pytest.mark.stack

LOGIN = "X-ClickHouse-User: default\r\nX-ClickHouse-Key: pass:word\r\n"


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    """A server whose analyst has the password that it made itself, which no test knows."""
    env = {"HEADRACE_CLICKHOUSE_PASSWORD": "pass:word"}
    with ClickHouseServer(tmp_path_factory.mktemp("closed"), env=env) as running:
        yield running


def raw(server: ClickHouseServer, request: str) -> tuple[str, float]:
    """Send a request as it is; the answer up to the end of the connection or of its head, and how long that took."""
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(request.encode())
        answer = b""
        while b"\r\n\r\n" not in answer and (piece := connection.recv(65536)):
            answer += piece
    return answer.decode(), time.monotonic() - started


# Host and Origin


def test_another_host_s_request_is_refused(server: ClickHouseServer, http: httpx.Client) -> None:
    """A name that somebody lets resolve to this machine is not the server's, whatever the path."""
    port = server.port
    for host in ("evil.example", f"evil.example:{port}", f"127.0.0.1.nip.io:{port}", "127.0.0.1", "localhost:1",
                 f"localhost.:{port}", f"127.0.0.1:{port}@evil.example", "", f"0.0.0.0:{port}"):  # fmt: skip
        for path in ("/", "/ping", "/?query=SELECT%201"):
            refused = http.post(path, headers={"Host": host}, content="SELECT 1")
            assert (refused.status_code, refused.headers["X-ClickHouse-Exception-Code"]) == (403, "497"), host
            assert refused.text.startswith("Code: 497. DB::Exception: ") and "SELECT" not in refused.text
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"LOCALHOST:{port}", f"[::1]:{port}"):
        assert http.post("/", headers={"Host": host}, content="SELECT 1").text == "1\n"


def test_a_host_that_is_not_clear_is_refused(server: ClickHouseServer) -> None:
    """No Host, two of them, and an absolute target of another host."""
    own = f"127.0.0.1:{server.port}"
    for line, hosts in (
        ("GET /?query=SELECT+1", ""),
        ("GET /?query=SELECT+1", f"Host: {own}\r\nHost: evil.example\r\n"),
        ("GET http://evil.example/?query=SELECT+1", f"Host: {own}\r\n"),
        ("GET http://[/?query=SELECT+1", f"Host: {own}\r\n"),
    ):
        answer, _ = raw(server, f"{line} HTTP/1.1\r\n{hosts}{LOGIN}\r\n")
        assert answer.startswith(("HTTP/1.1 403", "HTTP/1.1 400")), answer
    answer, _ = raw(server, f"GET http://{own}/?query=SELECT+1 HTTP/1.1\r\nHost: {own}\r\n{LOGIN}\r\n")
    assert answer.startswith("HTTP/1.1 200")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_a_web_page_s_request_is_refused(server: ClickHouseServer, http: httpx.Client, kind: str) -> None:
    """Another origin, `null` and a cross-site fetch are refused, also with the password and without a preflight."""
    own = f"http://127.0.0.1:{server.port}"
    for headers in (
        {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": ""}, {"Origin": f"{own}.evil.example"},
        {"Origin": own.replace("http:", "https:")}, {"Origin": f"http://localhost:{server.port + 1}"},
        {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
    ):  # fmt: skip
        refused = http.post("/", headers={**headers, "Content-Type": kind}, content="CREATE DATABASE forged")
        assert (refused.status_code, refused.headers["X-ClickHouse-Exception-Code"]) == (403, "497"), headers
        assert not [name for name in refused.headers if name.lower().startswith("access-control")]
    assert http.post("/", content="EXISTS DATABASE forged").text == "0\n"
    for headers in ({"Origin": own}, {"Sec-Fetch-Site": "none"}, {"Sec-Fetch-Site": "same-origin"}):
        assert http.post("/", headers=headers, content="SELECT 1").text == "1\n"


def test_a_preflight_permits_nothing(server: ClickHouseServer, http: httpx.Client) -> None:
    """OPTIONS is no method here, and no answer has CORS headers, asked for or not."""
    asked = {"Origin": f"http://127.0.0.1:{server.port}", "Access-Control-Request-Method": "POST"}
    answers = [http.request("OPTIONS", "/", headers=asked), http.get("/ping", headers=asked)]
    answers.append(http.post("/", params={"add_http_cors_header": "1"}, headers=asked, content="SELECT 1"))
    assert answers[0].status_code == 501
    assert not [name for answer in answers for name in answer.headers if name.lower().startswith("access-control")]


def test_a_server_of_all_addresses_takes_their_numbers() -> None:
    """Only a name can be made to resolve to another machine; an address cannot."""
    for host, takes in (("10.1.2.3:8123", True), ("[fe80::1]:8123", True), ("box.example:8123", False)):
        headers = Message()
        headers["Host"] = host
        for bound in ("0.0.0.0", "::"):
            if takes:
                Origin(bound, 8123).check(headers, "")
                continue
            with pytest.raises(Refused):
                Origin(bound, 8123).check(headers, "")


# Passwords


def test_a_user_without_a_password_cannot_log_in(closed: ClickHouseServer) -> None:
    """An empty password is none: no password, an empty one and any other are refused alike."""
    with httpx.Client(base_url=closed.url, trust_env=False) as http:
        for password in ("", "x", "pass:word"):
            ways = [
                {"auth": ("analyst", password)},
                {"headers": {"X-ClickHouse-User": "analyst", "X-ClickHouse-Key": password}},
                {"params": {"user": "analyst", "password": password}},
            ]
            for way in ways:
                refused = http.post("/", content="SELECT 1", **way)  # type: ignore[arg-type]
                assert (refused.status_code, refused.headers["X-ClickHouse-Exception-Code"]) == (403, "516")
        for way in ({}, {"auth": ("default", "")}, {"auth": ("", "")}, {"auth": ("nobody", "")}):
            assert http.post("/", content="SELECT 1", **way).status_code == 403  # type: ignore[arg-type]
        assert http.post("/", content="SELECT 1", auth=("default", "pass:word")).text == "1\n"


def test_a_password_is_compared_whole() -> None:
    """Neither a beginning, nor another case, nor text that is no UTF-8 is the password."""
    users = Users({"default": "pässword"})
    users.check("default", "pässword")
    for password in ("", "p", "Pässword", "pässword ", "pässword\udce4", "\x00"):
        with pytest.raises(Refused, match="AUTHENTICATION_FAILED"):
            users.check("default", password)


def test_a_form_s_password_is_not_read(server: ClickHouseServer) -> None:
    """A password in the body comes too late, and is refused where somebody else has logged in."""
    with httpx.Client(base_url=server.url, trust_env=False) as http:
        form = {"user": (None, "default"), "password": (None, "pass:word"), "query": (None, "SELECT 1")}
        assert http.post("/", files=form).status_code == 403
        assert http.post("/", files=form, auth=("analyst", "reads")).headers["X-ClickHouse-Exception-Code"] == "516"


# Bodies and connections


@pytest.mark.parametrize(
    "head",
    [
        "Content-Length: 8000000000\r\n",
        "Content-Length: 1000\r\nContent-Encoding: gzip\r\n",
        "Content-Length: 1000\r\nContent-Type: multipart/form-data; boundary=x\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Content-Length: 1000\r\nExpect: 100-continue\r\n",
        "Content-Length: -5\r\n",
    ],
)
def test_a_guest_s_body_is_not_waited_for(server: ClickHouseServer, head: str) -> None:
    """Who has not logged in is answered from the head alone, and is never asked for the body."""
    answer, took_s = raw(server, f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n{head}\r\n")
    assert answer.startswith(("HTTP/1.1 403", "HTTP/1.1 400")) and "Connection: close" in answer
    assert took_s < 2


def test_a_body_is_asked_for_after_the_login(server: ClickHouseServer) -> None:
    """Expect: 100-continue is answered once the password is right."""
    head = (
        f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n{LOGIN}Content-Length: 8\r\nExpect: 100-continue\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(head.encode())
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"SELECT 1")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")


def test_idle_connections_keep_nobody_out(server: ClickHouseServer) -> None:
    """With more silent connections than there are places, somebody who logs in is served at once."""
    with ExitStack() as stack:
        for number in range(MAX_CONNECTIONS + 50):
            idle = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=20))
            # Some say nothing, some begin a request, some begin a body.
            idle.sendall((b"", b"POST / HT", b"POST / HTTP/1.1\r\nContent-Length: 9000\r\n")[number % 3])
        started = time.monotonic()
        with httpx.Client(base_url=server.url, auth=("default", "pass:word"), timeout=20, trust_env=False) as http:
            for _ in range(5):
                assert http.post("/", content="SELECT 1").text == "1\n"
        assert time.monotonic() - started < 3


def test_a_guest_s_time_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that does not log in is ended, however busily it sends its head; one that has may rest longer."""
    waiting = Guests()
    pairs = [socket.socketpair() for _ in range(3)]
    for ours, _ in pairs:
        waiting.enter(ours)
    waiting.leave(pairs[1][0])
    monkeypatch.setattr(guests, "PATIENCE_S", 60.0)
    waiting.expire()
    pairs[0][1].sendall(b"P")
    assert pairs[0][0].recv(1) == b"P"
    monkeypatch.setattr(guests, "PATIENCE_S", -1.0)
    waiting.expire()
    assert [theirs.recv(1) for _, theirs in (pairs[0], pairs[2])] == [b"", b""]
    pairs[1][1].sendall(b"O")
    assert pairs[1][0].recv(1) == b"O"
    for ours, theirs in pairs:
        ours.close()
        theirs.close()
