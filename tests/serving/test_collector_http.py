"""The collector: every event of a request is taken or named, within bounds, and an answer says where events are."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from slowness import slowness
from stage import LABELS, Stage, Upstream, gateway, plan_text

from headrace.access.roles import Principal, Role, anonymous
from headrace.contract.events import Event, Feedback, Inference, new_feedback, new_inference
from serving.http.bodies import EVENTS
from serving.http.encodings import unpacked
from serving.http.refusal import Refusal
from serving.intake import batches
from serving.intake.batches import Parsed, parse

INFERENCE = new_inference("router", "router@9", input="a", label="it", scores={"it": 0.75}, extra={"k": [1, None]})
FEEDBACK = new_feedback(INFERENCE.inference_id, "user", "thumb", value=1)
PAIR = INFERENCE.to_json(), FEEDBACK.to_json()
LINES = {"content-type": "application/x-ndjson"}


@pytest.fixture
async def stage(upstream: Upstream, tmp_path: Path) -> AsyncIterator[Stage]:
    async with gateway(plan_text(upstream.url), tmp_path) as running:
        yield running


async def test_every_form_is_the_same_events(stage: Stage) -> None:
    """Lists, an array, lines, one event, and each of them zipped, in one piece or in several."""
    inference, feedback = PAIR
    forms = [
        (b'{"inferences": [' + inference + b'], "feedback": [' + feedback + b"]}", {}),
        (b" [" + feedback + b"," + inference + b"]", {}),
        (inference + b"\r\n\n" + feedback + b"\n", LINES),
    ]
    for body, headers in forms:
        zipped = gzip.compress(body[:40]) + gzip.compress(body[40:])
        for content, encoding in ((body, {}), (zipped, {"content-encoding": "gzip"})):
            response = await stage.client.post("/v1/events", content=content, headers=headers | encoding)
            assert (response.status_code, response.json()) == (
                202,
                {"inferences": 1, "feedback": 1, "refused": 0, "rejected": [], "spooled": False},
            )
    assert (await stage.client.post("/v1/events", content=inference)).json()["inferences"] == 1
    assert (await stage.client.post("/v1/events", content=feedback)).json()["feedback"] == 1
    for nothing in (b"[]", b"{}", b'{"feedback": []}'):
        assert (await stage.client.post("/v1/events", content=nothing)).json()["inferences"] == 0
    assert sorted(stage.recorded.sent, key=repr) == sorted([INFERENCE, FEEDBACK] * 7, key=repr)


@pytest.mark.parametrize("lines", [False, True])
async def test_good_events_are_taken_and_bad_ones_named_by_their_place(stage: Stage, lines: bool) -> None:
    """Each bad event has its index in the request and a sentence; the good ones around it are kept."""
    inference, feedback = (json.loads(event) for event in PAIR)
    events = [inference, feedback | {"valeu": 1}, feedback, inference | {"task": ""}, 7, {"task": "router"}, inference]
    body = b"\n".join(json.dumps(event).encode() for event in events) if lines else json.dumps(events).encode()
    response = await stage.client.post("/v1/events", content=body, headers=LINES if lines else {})
    answer = response.json()
    assert (response.status_code, answer["inferences"], answer["feedback"], answer["refused"]) == (202, 2, 1, 4)
    said = {fault["index"]: fault["message"] for fault in answer["rejected"]}
    assert said[1] == "Feedback.valeu: there is no such field"
    assert said[3].startswith("Inference.task: String should have at least 1 character")
    assert said[4] == "an event is a JSON object, but it was 7"
    assert said[5] == "the event has neither an inference_id nor a feedback_id"
    assert stage.recorded.sent == [INFERENCE, FEEDBACK, INFERENCE]


async def test_places_in_lists_are_told_by_list(stage: Stage) -> None:
    """In the long form a place is a list and an index; a broken line is named among lines."""
    inference, feedback = (json.loads(event) for event in PAIR)
    body = {"feedback": [feedback, feedback | {"source": "ghost"}], "inferences": [inference]}
    answer = (await stage.client.post("/v1/events", json=body)).json()
    (fault,) = answer["rejected"]
    assert (fault["list"], fault["index"]) == ("feedback", 1) and "Feedback.source" in fault["message"]
    broken = PAIR[0] + b"\n{\n" + PAIR[1]
    answer = (await stage.client.post("/v1/events", content=broken, headers=LINES)).json()
    assert (answer["inferences"], answer["feedback"]) == (1, 1)
    assert answer["rejected"][0]["index"] == 1 and "the value is not JSON" in answer["rejected"][0]["message"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not JSON"),
        (b"[1,", "not JSON"),
        (b"3", "an event is a JSON object, but it was 3"),
        (b'{"inference": []}', "inference: there is no such field"),
        (b'{"feedback": {}}', "it takes a list of events"),
        (b'{"task": "router"}', "there is no such field"),
        (PAIR[0].replace(b'"router"', b"[]", 1), "Inference.task"),
        (b"[" * 100_000, "not JSON"),
        (b'[{"inference_id":' + b"9" * 5000 + b"}]", "a number has thousands of digits"),
    ],
)
async def test_a_request_without_a_good_event_is_refused_whole(stage: Stage, body: bytes, says: str) -> None:
    """Where nothing can be taken the answer is 400 and one sentence."""
    response = await stage.client.post("/v1/events", content=body)
    assert response.status_code == 400 and says in response.json()["error"]["message"]
    assert not stage.recorded.sent


async def test_size_is_bounded_before_and_after_unzipping(stage: Stage) -> None:
    """More than the limit is 413, said in advance, found out, or found while unzipping; so are too many events."""
    assert (await stage.client.post("/v1/events", content=b" " * (EVENTS.sent + 1))).status_code == 413

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(EVENTS.sent // 65536 + 1):
            yield b" " * 65536

    assert (await stage.client.post("/v1/events", content=pieces())).status_code == 413
    zipped = {"content-encoding": "gzip"}
    bomb = gzip.compress(b" " * (EVENTS.unpacked + 1))
    response = await stage.client.post("/v1/events", content=bomb, headers=zipped)
    assert response.status_code == 413 and "when it is unzipped" in response.json()["error"]["message"]
    for wrong, status in ((b"[]", 400), (gzip.compress(b"[]")[:-1], 400)):
        assert (await stage.client.post("/v1/events", content=wrong, headers=zipped)).status_code == status
    brotli = await stage.client.post("/v1/events", content=b"[]", headers={"content-encoding": "br"})
    assert brotli.status_code == 415 and "send gzip" in brotli.json()["error"]["message"]
    many = b"[" + b",".join([b"1"] * 20_001) + b"]"
    response = await stage.client.post("/v1/events", content=many)
    assert response.status_code == 413 and "20001 events" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        (b"x\n" * 1_000_000, True),
        (b"[" + b"{}," * 1_000_000 + b"{}]", False),
        (b'{"feedback":[' + b"1," * 1_000_000 + b"1]}", False),
        (b"[NaN," + b"{}," * 100_000 + b"{}]", False),
        (b'{"feedback":[NaN,' + b"1," * 100_000 + b"1]}", False),
        (b"x\r" * 100_000, True),
    ],
    ids=["lines", "an array", "lists", "an array with NaN", "lists with NaN", "lines of the old Macintosh"],
)
def test_too_many_events_are_counted_before_they_are_read(body: bytes, lines: bool) -> None:
    """A million events that are none cost their sender a refusal, and the others next to nothing."""
    began = time.process_time()
    with pytest.raises(Refusal, match="20000 may come at once"):
        parse(body, anonymous("default"), lines)
    assert time.process_time() - began < 1.0 * slowness()


def test_blank_lines_are_no_events() -> None:
    """Lines that hold nothing count for nothing, however many stand between the events."""
    body = INFERENCE.to_json() + b"\n" * 30_000 + b" \r\n" * 10_000 + FEEDBACK.to_json() + b"\n"
    assert len(parse(body, anonymous("default"), lines=True).events) == 2


@pytest.mark.parametrize("mark", [b"", b"\\u0041"], ids=["plain", "escaped"])
def test_both_lists_of_a_body_share_its_bound(mark: bytes) -> None:
    """Each list below the bound, both together above it: refused, whichever reader takes the body."""
    one = new_inference("r", "r@1", input="a").to_json().replace(b'"input":"a"', b'"input":"a%b"' % mark)
    lists = b",".join([one] * 15_000), b",".join([PAIR[1]] * 5_001)
    with pytest.raises(Refusal, match="20000 may come at once"):
        parse(b'{"inferences":[%b],"feedback":[%b]}' % lists, anonymous("default"))


async def test_an_event_that_is_too_large_is_named_and_the_others_taken(stage: Stage) -> None:
    """`extra` has no bound of its own, so the event has one."""
    large = INFERENCE.model_copy(update={"extra": {"blob": "x" * 1_100_000}})
    body = b"[" + PAIR[0] + b"," + large.to_json() + b"]"
    answer = (await stage.client.post("/v1/events", content=body)).json()
    assert (answer["inferences"], answer["refused"]) == (1, 1)
    assert "at most 1048576 bytes" in answer["rejected"][0]["message"]


async def test_events_are_not_acknowledged_before_they_are_stored_or_on_disk(stage: Stage) -> None:
    """Only the spool has them: 202 says so. Neither has: 503 asks for the same again. Questions are answered."""
    stage.recorded.slow = True
    answer = await stage.client.post("/v1/events", content=PAIR[0])
    assert (answer.status_code, answer.json()["spooled"]) == (202, True)
    assert (await stage.client.post("/v1/feedback", content=PAIR[1])).json()["spooled"]
    stage.recorded.away = True
    answer = await stage.client.post("/v1/events", content=PAIR[0])
    assert answer.status_code == 503 and "send the same ones again" in answer.json()["error"]["message"]
    assert answer.headers["retry-after"] == "1"
    assert (await stage.route())["label"] in LABELS


@pytest.mark.parametrize("tenant", ["default", "acme"])
def test_one_by_one_is_the_same_as_all_at_once(tenant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fast way and the careful one give the same events."""
    body = b"[" + b",".join(PAIR) + b"]"
    whole = parse(body, of(tenant))
    monkeypatch.setattr(batches, "_as_given", lambda *_: None)
    careful = parse(body, of(tenant))
    assert models(whole) == careful.events and len(whole.events) == 2 and not whole.wrong and not careful.wrong
    assert len(whole.given) == 2 and not careful.given
    assert {event.tenant for event in models(whole)} == {tenant}


def of(tenant: str) -> Principal:
    """Who may send inferences and what users say, as a tenant's, without a key."""
    return Principal(tenant, frozenset({Role.INGEST}))


def models(parsed: Parsed) -> list[Event]:
    """The events as their models read them, from the bytes that would pass on."""
    given = parsed.given or [b""] * len(parsed.events)
    whole = [
        event if isinstance(event, Event) else event.whole(text)
        for event, text in zip(parsed.events, given, strict=True)
    ]
    for one, event, text in zip(whole, parsed.events, given, strict=True):
        assert (one.event_id, one.tenant, one.thread) == (event.event_id, event.tenant, event.thread)
        assert not text or type(one).strict(text) == one
    return whole


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=12,
)
FIELDS = sorted({*Inference.model_fields, *Feedback.model_fields})
CHANGED = st.builds(
    lambda base, changes, gone: {k: v for k, v in (base | changes).items() if k not in gone},
    st.sampled_from([json.loads(event) for event in PAIR]),
    st.dictionaries(st.sampled_from([*FIELDS, "unknown"]), JSON, max_size=2),
    st.sets(st.sampled_from(FIELDS), max_size=1),
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Random bytes, random JSON, batches with wrong fields, and good bodies with bytes changed, added or cut off."""
    if draw(st.booleans()):
        return draw(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
    events: Any = draw(st.lists(CHANGED | JSON, max_size=4))
    shape = draw(st.sampled_from(["array", "lists", "lines", "one"]))
    if shape == "lines":
        body = b"\n".join(json.dumps(event).encode() for event in events)
    else:
        value = {"array": events, "lists": {"feedback": events, "inferences": events[:1]}, "one": (events or [0])[0]}
        body = json.dumps(value[shape]).encode()
    for place in draw(st.lists(st.integers(0, max(0, len(body) - 1)), max_size=2)):
        cut = draw(st.integers(0, 3))
        body = body[:place] + draw(st.binary(max_size=3)) + body[place + cut :]
    return body


@given(bodies(), st.booleans(), st.sampled_from(["default", "acme"]))
@example(b'[{"inference_id": NaN, "signal": Infinity}]', False, "default")
@example(b"\xff\xfe", True, "default")
@example(b'{"inferences": [], "\xff": []}', False, "default")
def test_whatever_comes_is_taken_or_refused_by_name(body: bytes, lines: bool, tenant: str) -> None:
    """Any body ends as events that Kafka can carry, named faults, or a refusal that can be sent; never a 500."""
    try:
        parsed = parse(body, of(tenant), lines)
    except Refusal as refusal:
        assert refusal.status in (400, 413) and refusal.response().body
        return
    for event in models(parsed):
        assert type(event).strict(event.to_json()).event_id == event.event_id
        assert event.tenant == tenant
    for wrong in parsed.wrong:
        assert wrong.message and json.dumps(wrong.fields()).encode()


@given(st.binary(max_size=300), st.integers(0, 300), st.integers(0, 255))
def test_whatever_claims_to_be_gzip_is_unzipped_or_refused(data: bytes, place: int, byte: int) -> None:
    """Damage is found by gzip's own checksum, and nothing else is raised."""
    zipped = bytearray(gzip.compress(data))
    zipped[place % len(zipped)] = byte
    for body in (data, bytes(zipped), bytes(zipped[:place])):
        try:
            found = unpacked(body, "gzip", 1000)
        except Refusal as refusal:
            assert refusal.status in (400, 413)
        else:
            assert found == data or body != bytes(zipped) or zlib.crc32(found) == zlib.crc32(data)


def test_what_passes_on_as_it_came_is_what_was_read() -> None:
    """Bodies of every form keep the bytes of each event; a tenant that was left out is the key's; odd forms do not."""
    events = [new_inference("router", "r@1", label=str(number)) for number in range(3)]
    bare = [event.model_dump_json(exclude_defaults=True).encode() for event in events]
    for body, lines in (
        (b"[" + b", ".join(bare) + b"]", False),
        (b'{"inferences": [' + b",\n".join(bare) + b"]}", False),
        (b"\n\n".join(bare), True),
    ):
        assert parse(body, of("default"), lines).given == bare
        parsed = parse(body, of("acme"), lines)
        assert [Inference.strict(given) for given in parsed.given] == models(parsed)
        assert {event.tenant for event in parsed.events} == {"acme"}
    assert parse(b" " + bare[0] + b"\n", of("default")).given == bare[:1]
    # A tenant that an emitter gives who knows of none is replaced where it stands, once and plainly.
    named = bare[0][:-1] + b',"tenant":"default"}'
    assert parse(named, of("acme")).given == [bare[0][:-1] + b',"tenant":"acme"}']
    for twice in (
        named.replace(b'"0"', b'"tenant"'),
        named.replace(b'"0"', b'"\\u0061"'),
        named.replace(b't":', b't": '),
    ):
        parsed = parse(twice, of("acme"))
        assert parsed.given == [] and [event.tenant for event in parsed.events] == ["acme"]
    # A number in text is read, but not by the streams' short way: it is written anew.
    odd = parse(b"[" + bare[0].replace(b'"label"', b'"latency_ms":"12.5","label"') + b"]", of("default"))
    assert odd.given == [] and odd.events[0].latency_ms == 12.5  # type: ignore[union-attr]


@pytest.mark.parametrize("body", [b"[%b]", b'{"inferences": [%b]}'])
def test_a_body_of_wrong_events_is_given_up_at_the_first(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """To find each of them in one go holds up everybody else's questions; that is done one by one, between them."""
    looked: list[str] = []
    monkeypatch.setattr(batches, "careful", lambda *_, **__: looked.append("one") or INFERENCE)
    wrong = body % b",".join([b'{"inference_id": 1}'] * 20_000)
    began = time.process_time()
    parse(wrong, anonymous("default"))
    assert time.process_time() - began < 1.0 * slowness()
    assert len(looked) == 20_000
