"""An event may bear any id: which texts mean one event, and how it travels."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from doors import collector, shipped, worker
from hypothesis import given
from hypothesis import strategies as st

from headrace.access.proofs import Proofs
from headrace.client.counts import Counts
from headrace.client.options import Options
from headrace.client.packing import bucket_of
from headrace.contract import ids
from headrace.contract.events import Event, Feedback, Inference, new_feedback, new_inference
from headrace.contract.given_ids import NOBODY, Given
from headrace.errors import EventError

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SEVEN = ids.derived(NOON, "an id of version 7")
FOREIGN = [
    "8f4e4cc5-1b27-48a2-bb6f-99f4c8e71bbb",  # version 4
    "946d0000-ebce-11f1-8705-02fc00000001",  # version 1
    "1ef21d2f-1207-6660-8c4f-419efbd44d48",  # version 6
    "320c3d4d-cc00-875b-8ec9-32d5f69181c0",  # version 8
    "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "chatcmpl-9",
    "resp_0123",
    "HELP-4711",
    "507f1f77bcf86cd799439011",
    "4bf92f3577b34da6a3ce929d0e0e4736:chatcmpl-9",
    "Größe 7/ü 💶",
    "x" * 200,
    "a" * 32,
]


def body(**fields: object) -> bytes:
    event = {"occurred_at": NOON.isoformat(), "task": "router", "version": "router@1", "label": "it"}
    return json.dumps(event | fields).encode()


def read(**fields: object) -> Event:
    """What both doors read, of an inference."""
    text = body(**fields)
    (taken,), (stored,) = collector(text), worker("inference", text)
    assert isinstance(taken, Event), taken
    assert taken.to_json() == stored.to_json() == worker("inference", shipped(text))[0].to_json()
    return taken


@pytest.mark.parametrize("text", FOREIGN)
def test_any_text_is_an_id(text: str) -> None:
    """It is kept, and the event's own id is a UUIDv7 of the event's time."""
    event = read(inference_id=text)
    assert event.given_id == text == event.called
    assert event.event_id.version == 7 and ids.time_of(event.event_id) == NOON
    assert new_inference("router", "router@1", inference_id=text, occurred_at=NOON).event_id == event.event_id


@pytest.mark.parametrize(
    "text", [str(SEVEN), str(SEVEN).upper(), f"{{{SEVEN}}}", f"urn:uuid:{SEVEN}", SEVEN.hex, f" {SEVEN}\n"]
)
def test_a_version_7_in_another_spelling_stays_what_it_is(text: str) -> None:
    """Upper case, braces, a URN, no dashes, blanks around it."""
    event = read(inference_id=text)
    assert event.event_id == SEVEN == event.called and event.given_id is None


@pytest.mark.parametrize(("said", "text"), [(4711, "4711"), (4711.0, "4711"), (-1, "-1"), (2**70, str(2**70))])
def test_a_number_is_its_digits(said: float, text: str) -> None:
    """Whole numbers are ids, also as JSON's floats."""
    assert read(inference_id=said).given_id == text


def test_one_spelling_of_a_uuid_means_one_event() -> None:
    """A UUID of another version is written in lower case with dashes, whoever spells it."""
    known = uuid4()
    spellings = [str(known), str(known).upper(), f"{{{known}}}", f"URN:UUID:{known}"]
    assert {read(inference_id=text).called for text in spellings} == {str(known)}


@pytest.mark.parametrize(
    "nothing", ["", " ", "null", "None", "undefined", "NaN", str(NOBODY), True, [], {}, 0.5, "x" * 201]
)
def test_what_names_no_event_is_refused_by_name(nothing: object) -> None:
    """Under a program's word for nothing all of its events would be one."""
    with pytest.raises(EventError) as caught:
        Inference.strict(body(inference_id=nothing))
    assert str(caught.value).startswith("Inference.inference_id: ") and caught.value.field == "inference_id"


def test_feedback_names_its_answer_by_any_text() -> None:
    """It bears the text until the answer is found, and a word for nothing is as good as nothing."""
    said = new_feedback("chatcmpl-9", "user", "thumb", value=1)
    assert (said.inference_id, said.given_inference_id) == (NOBODY, "chatcmpl-9")
    assert Feedback.strict(said.to_json()) == Feedback.tolerant(json.loads(said.to_json())) == said
    assert new_feedback("undefined", "user", "thumb", value=1, session_id="s").given_inference_id is None
    with pytest.raises(EventError, match="names its answer"):
        new_feedback("undefined", "user", "thumb", value=1)
    assert new_feedback(str(SEVEN).upper(), "user", "thumb", value=1).inference_id == SEVEN


def test_a_retry_is_counted_once_whatever_its_time() -> None:
    """A client that builds the event again counts one; another tenant's of that name is another."""
    counts, options = Counts("desk.1"), Options(kafka="127.0.0.1:9092")

    def made(at: int, **fields: str) -> Inference:
        moment = NOON + timedelta(seconds=at)
        fields = {"task": "router", "version": "router@1", "inference_id": "chatcmpl-9", **fields}
        return options.inference(None, {"occurred_at": moment, **fields})

    assert counts.firsts([made(0), made(9), made(9, tenant="acme"), made(3)]) == [True, False, True, False]


def test_an_answer_and_its_feedback_travel_together() -> None:
    """Outside a session the text decides on the partition of both, whatever their times."""
    for number in range(50):
        answer = new_inference("router", "router@1", inference_id=f"chatcmpl-{number}")
        again = new_inference("router", "router@1", inference_id=f"chatcmpl-{number}", occurred_at=NOON)
        said = new_feedback(f"chatcmpl-{number}", "user", "thumb", value=1)
        assert bucket_of(answer, 8) == bucket_of(again, 8) == bucket_of(said, 8)


def test_a_signature_holds_for_one_text() -> None:
    """Whoever repeats a gateway's answer under another id of his own cannot sign it."""
    proofs = Proofs(b"of a test")
    signed = proofs.sign(new_inference("router", "router@1", inference_id=SEVEN))
    assert proofs.hold(signed)
    assert not proofs.hold(signed.model_copy(update={"given_id": "chatcmpl-9"}))


@given(st.text(), st.text(), st.text(), st.text())
def test_keys_are_of_one_tenant_and_text(tenant: str, text: str, other_tenant: str, other_text: str) -> None:
    """No text of one tenant has the key of another's, and the time has no part in it."""
    one, other = Given("inference", tenant, text, NOON), Given("inference", other_tenant, other_text, NOON)
    assert (one.key == other.key) == ((tenant, text) == (other_tenant, other_text))
    later = replace(one, at=NOON + timedelta(days=1))
    assert later.key == one.key and later.id != one.id and later.id.int % 2**80 == one.id.int % 2**80


def test_an_older_worker_takes_the_event_that_a_gateway_sends() -> None:
    """Its id stands beside the text: who knows no given ids stores it under that, and keeps the text in `extra`."""
    fields = json.loads(new_inference("router", "router@1", inference_id="chatcmpl-9", occurred_at=NOON).to_json())
    assert fields.pop("given_id") == "chatcmpl-9"
    assert UUID(fields["inference_id"]).version == 7
