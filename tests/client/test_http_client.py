"""The client over HTTP, against a small server that answers what the test says."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from headrace.client import Client
from headrace.embedded.server import free_port


class Gateway:
    """A server for POST /v1/events: `answers` are its next statuses, then 202; `says` is what it answers with."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.says: dict[str, Any] = {"error": "no such key"}
        self.requests: list[tuple[str, str, str, list[dict[str, Any]]]] = []
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = gateway.answers.pop(0) if gateway.answers else 202
                if status < 300:
                    about = self.headers.get("Authorization", ""), self.headers["Content-Type"]
                    gateway.requests.append((self.path, *about, body))
                text = json.dumps(gateway.says).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    made = Gateway()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_events_go_to_the_gateway_with_the_key(gateway: Gateway) -> None:
    """Batches are posted to /v1/events as JSON arrays with the bearer key."""
    with Client(url=gateway.url + "/", key="secret", emitter="web") as client:
        answer = client.inference(task="router", version="router@1", session_id="s")
        client.feedback(inference_id=answer, source="user", signal="thumb", value=1)
        assert client.flush(10)
    assert {(path, key, kind) for path, key, kind, _ in gateway.requests} == {
        ("/v1/events", "Bearer secret", "application/json")
    }
    events = [event for *_, body in gateway.requests for event in body]
    assert {event["inference_id"] for event in events} == {str(answer)}
    assert len(events) == 2


def test_what_may_pass_is_tried_again(gateway: Gateway) -> None:
    """503, 429 and 500 are retried until the gateway takes the batch."""
    gateway.answers = [503, 429, 500]
    with Client(url=gateway.url) as client:
        client.inference(task="router", version="router@1")
        assert client.flush(10)
        assert client.count("inferences").acknowledged == 1
    assert len(gateway.requests) == 1
    assert gateway.requests[0][1] == ""


def test_a_refusal_is_final_and_said_once(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    """401 drops the batch, counts it and is logged once with the gateway's own words."""
    caplog.set_level(logging.WARNING, "headrace.client")
    gateway.answers = [401, 401]
    with Client(url=gateway.url, key="wrong") as client:
        for _ in range(2):
            client.inference(task="router", version="router@1", session_id="s")
            assert client.flush(10)
        assert client.count("inferences").dropped == 2
    assert len([record for record in caplog.records if "refused events with 401" in record.message]) == 1


def test_what_is_rejected_of_a_batch_is_dropped_and_the_rest_acknowledged(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    """A 202 that names two of ten events: they are counted as dropped, said once and not sent again."""
    caplog.set_level(logging.WARNING, "headrace.client")
    gateway.says = {"rejected": [{"index": 3, "message": "Inference.task: wrong"}, {"index": 9, "message": "too"}]}
    with Client(url=gateway.url) as client:
        for _ in range(10):
            client.inference(task="router", version="router@1", session_id="s")
        assert client.flush(10)
        count = client.count("inferences")
    assert (count.emitted, count.acknowledged, count.dropped) == (10, 8, 2)
    assert len(gateway.requests) == 1 and "Inference.task: wrong" in caplog.text


def test_no_gateway_never_raises(caplog: pytest.LogCaptureFixture) -> None:
    """Where nobody listens the caller notices nothing; closing says that not everything went."""
    client = Client(url=f"http://127.0.0.1:{free_port()}")
    client.inference(task="router", version="router@1")
    assert not client.close(0.5)
    assert client.count("inferences").dropped == 1
    assert "no gateway answers" in caplog.text
