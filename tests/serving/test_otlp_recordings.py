"""Recorded exports of instrumentations from PyPI and npm: tests/serving/recordings/record.py makes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from stage import gateway, plan_text
from test_otlp import ANYBODY

from headrace import plan
from headrace.contract.events import Inference
from serving.otlp.exports import JSON, LOGS, SPANS, pieces
from serving.otlp.genai import Found, SpanReader

RECORDINGS = Path(__file__).parent / "recordings"
NAMES = sorted(path.stem for path in RECORDINGS.glob("*.json"))
PLAN = plan.parse(plan_text(audit=1.0).replace('"big"', '"incumbent-70b"'))
# What the agents of these recordings could say of themselves; the other packages have no place for it.
SESSIONS = dict.fromkeys(
    (
        "langsmith", "openinference_langchain", "openinference_openai", "openinference_openai_responses",
        "openinference_openai_stream", "openllmetry_langchain", "vercel_generate_text", "vercel_stream_text",
        "vercel7_generate_text",
    ),
    "conversation-7",
)  # fmt: skip
USERS = dict.fromkeys(("vercel_generate_text", "vercel_stream_text"), "u-17")
# OpenInference's LangChain spans do not name the response.
NAMELESS = {"openinference_langchain"}


def exports(name: str) -> list[tuple[str, dict[str, Any]]]:
    return [
        (one["path"], one["body"]) for one in json.loads((RECORDINGS / f"{name}.json").read_text("utf-8"))["exports"]
    ]


def read(reader: SpanReader, path: str, body: dict[str, Any]) -> Found:
    given = json.dumps(body).encode()
    kind, understood = (SPANS, reader.spans) if path.endswith("/traces") else (LOGS, reader.logs)
    (piece,) = pieces(given, JSON, kind)
    return understood(piece.outers)


def test_recordings_are_of_many_packages() -> None:
    """Packages of both registries, conventions old and new, and log records are among them."""
    assert len(NAMES) >= 20
    assert {"openai_v2", "openllmetry_openai-flat", "vercel_stream_text", "semantic_kernel", "litellm"} <= set(NAMES)


@pytest.mark.parametrize("reverse", [False, True], ids=["as sent", "last first"])
@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_call_is_one_inference(name: str, reverse: bool) -> None:
    """Question, answer, model, tokens and session are found, in whichever order spans and log records arrive."""
    reader = SpanReader(PLAN, ANYBODY)
    sent = exports(name)
    found = [read(reader, path, body) for path, body in (reversed(sent) if reverse else sent)]
    events = [event for one in found for event in one.events]
    assert all(isinstance(event, Inference) for event in events)
    assert len({event.inference_id for event in events}) == 1
    assert [one.refused for one in found] == [[]] * len(found)
    # The warehouse keeps the greatest revision.
    event = max(events, key=lambda one: one.revision)
    assert [one.revision for one in events] == sorted({one.revision for one in events})
    assert (event.input, event.output, event.label) == ("My VPN is down", "it", "it")
    assert (event.task, event.version, event.tokens_in, event.tokens_out) == ("router", "router@0", 100, 2)
    assert event.cost == pytest.approx((100 * 1.0 + 2 * 2.0) / 1e6)
    assert bool(event.response_id) == (name not in NAMELESS)
    assert event.latency_ms > 0 and event.span_id and event.trace_id
    if name != "pydantic_ai":  # makes a conversation's id itself
        assert (event.session_id, event.user_ref) == (SESSIONS.get(name, ""), USERS.get(name, ""))


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_sent_again_changes_nothing(name: str) -> None:
    """The same ids, revisions and fields come of exports that are sent a second time."""
    reader = SpanReader(PLAN, ANYBODY)
    first = [event for path, body in exports(name) for event in read(reader, path, body).events]
    again = [event for path, body in exports(name) for event in read(reader, path, body).events]
    assert max(first, key=lambda one: one.revision) == max(again, key=lambda one: one.revision)
    assert {event.inference_id for event in first} == {event.inference_id for event in again}


@pytest.mark.parametrize("reverse", [False, True], ids=["span first", "records first"])
async def test_a_gateway_joins_what_comes_in_two_requests(tmp_path: Path, reverse: bool) -> None:
    """Spans and log records that are posted apart are one inference, whose last revision has all that both tell."""
    sent = exports("openai_v2")
    async with gateway(plan_text().replace('"big"', '"incumbent-70b"'), tmp_path) as stage:
        for path, body in reversed(sent) if reverse else sent:
            answer = await stage.client.post(path, json=body)
            assert answer.status_code == 200
        metrics = (await stage.client.get("/metrics")).text
        first, last = stage.recorded.sent
    assert isinstance(first, Inference) and isinstance(last, Inference)
    assert first.inference_id == last.inference_id and first.revision < last.revision
    assert (last.input, last.output, last.tokens_in, last.version) == ("My VPN is down", "it", 100, "router@0")
    assert 'headrace_otlp_records_total{kind="logs",outcome="joined"} 2.0' in metrics
