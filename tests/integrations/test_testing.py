"""headrace.testing: the client in memory takes, refuses and counts as the real one does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest

from headrace.client import AsyncClient, Client
from headrace.contract import ids
from headrace.contract.events import new_inference
from headrace.errors import EventError
from headrace.testing import AsyncRecordingClient, RecordingClient

pytest_plugins = ["headrace.testing.fixtures"]


class _Kept:
    """A transport that keeps what arrives."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    async def send(self, record: Any) -> dict[int, str]:
        self.events += json.loads(record.value)
        return {}

    async def count(self, counter: Any) -> None: ...

    async def close(self) -> None: ...


Both = tuple[Any, Callable[[], list[dict[str, Any]]]]


@pytest.fixture(params=["real", "in memory"])
def both(request: pytest.FixtureRequest) -> Iterator[Both]:
    """Each client, and what it has taken."""
    if request.param == "real":
        kept = _Kept()
        with Client(url="http://127.0.0.1:1", emitter="helpdesk", transport=kept) as client:
            yield client, lambda: kept.events
    else:
        with RecordingClient(emitter="helpdesk") as recording:
            yield recording, lambda: [json.loads(event.to_json()) for event in recording.events]


@pytest.mark.parametrize(
    "typed",
    [{"signal": "correction", "label": ""}, {"signal": "correction", "label": " \n"},
     {"signal": "rating", "value": "7"}, {"signal": "rating", "value": "great", "best": 10},
     {"signal": "thumb", "value": "meh"}, {"signal": "resolution", "value": "perhaps"}],
)  # fmt: skip
def test_what_a_user_typed_is_dropped_where_it_means_nothing(
    both: Both, typed: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """It is counted and said, and has the id that it was given; nothing raises into the agent."""
    client, taken = both
    given = ids.uuid7()
    assert client.feedback(inference_id="a", feedback_id=given, source="user", **typed) == given
    assert client.flush() and taken() == []
    count = client.count("feedback")
    assert (count.emitted, count.acknowledged, count.dropped) == (1, 0, 1)
    if isinstance(client, Client):
        assert "it is dropped and counted (said once a minute)" in caplog.text and "Feedback" in caplog.text


@pytest.mark.parametrize(
    "wrong",
    [{"signal": "correction"}, {"signal": "thumb", "value": 5}, {"signal": "rating", "value": 7},
     {"signal": "rating", "value": "great", "mood": 1}, {"signal": "rating", "value": "great", "source": "me"},
     {"signal": "mood", "value": "great"}],
)  # fmt: skip
def test_a_callers_mistake_raises(both: Both, wrong: dict[str, Any]) -> None:
    """Also beside what a user typed."""
    client, _ = both
    with pytest.raises(EventError):
        client.feedback(**{"inference_id": "a", "source": "user"} | wrong)
    assert client.count("feedback").emitted == 0


def test_both_take_the_same_events(both: Both) -> None:
    """An answer and feedback on it, given as fields or whole, once each; ids, counts and times are the same."""
    client, taken = both
    whole = new_inference("router", "router@12", input="a", label="it")
    answer = client.inference(task="router", version="router@12", session_id=None, occurred_at="2026-03-02T12:00:00Z")
    assert ids.time_of(answer).isoformat() == "2026-03-02T12:00:00+00:00"
    assert client.inference(whole) == client.inference(whole) == whole.inference_id
    said = client.feedback(inference_id=answer, source="user", signal="thumb", value=-1)
    assert client.flush()
    events = {UUID(event.get("feedback_id", event["inference_id"])): event for event in taken()}
    assert events.keys() == {whole.inference_id, answer, said}
    assert events[said]["inference_id"] == str(answer)
    for kind, count in (("inferences", 2), ("feedback", 1)):
        assert (client.count(kind).emitted, client.count(kind).acknowledged, client.count(kind).dropped) == (
            count,
            count,
            0,
        )


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("inference", {"task": "router"}),
        ("inference", {"task": "router", "version": "v", "lable": "it"}),
        ("inference", {"task": "router", "version": "v", "arm": "left"}),
        ("inference", {"task": "router", "version": "v", "occurred_at": "yesterday"}),
        ("feedback", {"source": "user", "signal": "thumb", "value": 1}),
        ("feedback", {"source": "me", "signal": "thumb", "session_id": "s"}),
    ],
)
def test_both_refuse_the_same_fields(both: Both, kind: str, fields: dict[str, Any]) -> None:
    """A wrong field raises EventError that names it, and nothing is counted."""
    client, taken = both
    with pytest.raises(EventError, match=r"Inference|Feedback|inferences"):
        getattr(client, kind)(**fields)
    assert client.flush() and not taken() and client.count("inferences").emitted == 0


def test_what_a_test_asks(headrace_client: RecordingClient) -> None:
    """Answers, feedback on one of them, and what a full buffer drops."""
    answer = headrace_client.inference(task="router", version="v", label="it")
    other = headrace_client.inference(task="router", version="v", label="hr")
    headrace_client.feedback(inference_id=answer, source="user", signal="thumb", value=-1)
    assert [event.label for event in headrace_client.inferences] == ["it", "hr"]
    assert [event.value for event in headrace_client.feedback_on(answer)] == [-1]
    assert headrace_client.feedback_on(headrace_client.inferences[1]) == [] and other
    headrace_client.full = True
    headrace_client.inference(task="router", version="v")
    assert headrace_client.count("inferences").dropped == 1 and len(headrace_client.inferences) == 2
    headrace_client.clear()
    assert headrace_client.events == []


async def test_the_one_of_an_event_loop() -> None:
    """Has the methods of AsyncClient, and keeps what is sent past the buffer."""
    async with AsyncRecordingClient() as client:
        await client.send([new_inference("router", "v")])
        client.inference(task="router", version="v")
        assert await client.flush()
    assert len(client.inferences) == 2


@pytest.mark.parametrize(("real", "double"), [(Client, RecordingClient), (AsyncClient, AsyncRecordingClient)])
def test_nothing_of_the_real_client_is_missing(real: type, double: type) -> None:
    """But for `keep` and `answered`, which are the gateway's."""
    public = {name for name in dir(real) if not name.startswith("_")} - {"keep", "answered"}
    assert public <= set(dir(double))
