"""Several spans and log records of one call are one inference, in one export or in many, whichever comes first."""

from __future__ import annotations

import time
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from otlp_spans import CALL, END_NS, PLAN, USAGE, read
from slowness import slowness
from test_otlp import ANYBODY, SPAN, START_NS, TRACE, pairs, value

from headrace.access.roles import Principal, Role
from headrace.contract import ids
from headrace.contract.events import Feedback, Inference
from serving.otlp.calls import Call
from serving.otlp.genai import Found, SpanReader
from serving.otlp.grouping import grouped
from serving.otlp.joining import CALL_BYTES, RecentCalls

TEXTS = {"gen_ai.prompt": "My VPN is down", "gen_ai.completion": "it"}
ONE, TWO, THREE = b"\1" * 8, b"\2" * 8, b"\3" * 8
OTHER_TRACE = b"\7" * 16


def fresh() -> SpanReader:
    return SpanReader(PLAN, ANYBODY)


def spans_sent(reader: SpanReader, *exports: list[dict[str, Any]]) -> list[Inference]:
    """The events of exports in this order; of an id the greatest revision, as the warehouse keeps it."""
    return kept([read(*spans, reader=reader) for spans in exports])


def kept(found: list[Found]) -> list[Inference]:
    assert [one.refused for one in found] == [[]] * len(found)
    current: dict[Any, Inference] = {}
    for event in (event for one in found for event in one.events):
        assert isinstance(event, Inference)
        before = current.get(event.inference_id)
        if before is None or (event.revision, event.occurred_at) >= (before.revision, before.occurred_at):
            current[event.inference_id] = event
    return list(current.values())


def records(*said: tuple[str, Any], span: bytes = ONE, trace: bytes = TRACE, **more: Any) -> ExportLogsServiceRequest:
    export = ExportLogsServiceRequest()
    scope = export.resource_logs.add().scope_logs.add()
    for name, body in said:
        record = scope.log_records.add(
            event_name=name, time_unix_nano=START_NS + 1_000_000, trace_id=trace, span_id=span, attributes=pairs(more)
        )
        record.body.CopyFrom(value(body))
    return export


def ways(first: dict[str, Any], second: dict[str, Any]) -> list[list[list[dict[str, Any]]]]:
    """Two spans in one export, in either order, and in two, in either order."""
    return [[[first, second]], [[second, first]], [[first], [second]], [[second], [first]]]


WRAPPER = {
    "span_id": ONE,
    "attributes": {
        "ai.operationId": "ai.generateText",
        "ai.model.id": "big",
        "ai.prompt": '{"prompt": "My VPN is down"}',
        "ai.response.text": "it",
        "ai.usage.inputTokens": 100,
        "ai.usage.outputTokens": 2,
        "session.id": "s-1",
    },
}
LEAF = {
    "span_id": TWO,
    "parent_span_id": ONE,
    "attributes": {
        "ai.operationId": "ai.generateText.doGenerate",
        "ai.response.text": "it",
        "gen_ai.response.id": "r-1",
        "gen_ai.request.model": "big",
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 2,
    },
}
RICH = {"span_id": ONE, "attributes": CALL | TEXTS | {"gen_ai.response.id": "r-1", "user.id": "u-1"}}
POOR = {"span_id": TWO, "attributes": CALL | USAGE | {"gen_ai.response.id": "r-1", "session.id": "s-1"}}


@pytest.mark.parametrize("exports", ways(WRAPPER, LEAF))
def test_a_wrapper_and_its_leaf_are_one_answer(exports: list[list[dict[str, Any]]]) -> None:
    """Each has what the other lacks, and neither is counted twice."""
    (event,) = spans_sent(fresh(), *exports)
    assert (event.input, event.output, event.tokens_in, event.tokens_out) == ("My VPN is down", "it", 100, 2)
    assert (event.session_id, event.response_id, event.version) == ("s-1", "r-1", "router@0")


def test_a_wrapper_finds_its_leaf_whatever_was_told_of_it_since() -> None:
    """A log record of the leaf between the two does not part them."""
    reader = fresh()
    said = [
        read(LEAF, reader=reader),
        reader.logs(records(ASKED, span=TWO).resource_logs),
        read(WRAPPER, reader=reader),
    ]
    (event,) = kept(said)
    assert (event.session_id, event.response_id) == ("s-1", "r-1")


@pytest.mark.parametrize("exports", ways(RICH, POOR))
def test_two_instrumentations_of_one_response_are_one_answer(exports: list[list[dict[str, Any]]]) -> None:
    """Of one response in one trace the texts come from the one, tokens and session from the other."""
    (event,) = spans_sent(fresh(), *exports)
    assert (event.input, event.output, event.tokens_in, event.tokens_out) == ("My VPN is down", "it", 100, 2)
    assert (event.session_id, event.user_ref) == ("s-1", "u-1")


def test_a_poorer_report_later_changes_nothing() -> None:
    """What adds nothing is no new revision."""
    reader = fresh()
    (first,) = read(RICH | {"attributes": RICH["attributes"] | POOR["attributes"]}, reader=reader).events
    (again,) = read(POOR, reader=reader).events
    assert again == first


@pytest.mark.parametrize(
    ("other", "scope", "answers"),
    [
        ({"trace_id": OTHER_TRACE}, "second", 1),
        ({"trace_id": OTHER_TRACE}, "first", 2),
        ({"trace_id": OTHER_TRACE, "start_time_unix_nano": END_NS + 1, "end_time_unix_nano": END_NS + 2}, "second", 2),
    ],
)
def test_one_response_in_two_traces(other: dict[str, Any], scope: str, answers: int) -> None:
    """Two instrumentations at one time saw one call; a server that gives each response one name answered twice."""
    reader = fresh()
    assert (
        len(kept([read(RICH, reader=reader, scope="first"), read(POOR | other, reader=reader, scope=scope)])) == answers
    )


@pytest.mark.parametrize("exports", [*ways(WRAPPER, LEAF)[:2], [[LEAF], [WRAPPER]]])
def test_a_wrapper_of_a_call_to_the_gateway_is_not_recorded(exports: list[list[dict[str, Any]]]) -> None:
    """The gateway recorded the answer itself, and what is said in either span is about that one."""
    own = ids.uuid7()
    said = {"gen_ai.response.id": f"chatcmpl-{own}"}
    rated = ("gen_ai.evaluation.result", {"gen_ai.evaluation.name": "Relevance"})
    changed = {LEAF["span_id"]: {"attributes": LEAF["attributes"] | said}, WRAPPER["span_id"]: {"events": [rated]}}
    reader = fresh()
    found = [read(*(span | changed[span["span_id"]] for span in spans), reader=reader) for spans in exports]
    (event,) = [event for one in found for event in one.events]
    assert isinstance(event, Feedback) and event.inference_id == own


def test_a_key_that_may_not_send_inferences_adds_nothing_to_others() -> None:
    """What such a key says of a call is refused, and not united with what another key says of it."""
    recent = RecentCalls()
    judge = SpanReader(PLAN, Principal("acme", frozenset({Role.REVIEW})), recent)
    assert len(read(RICH, reader=judge).refused) == 1
    (event,) = read(POOR, reader=SpanReader(PLAN, ANYBODY, recent)).events
    assert isinstance(event, Inference) and event.output == ""


def test_of_several_calls_inside_one_the_last_is_the_answer() -> None:
    """Two steps of a wrapper are two calls, and its answer is the second."""
    steps = [
        LEAF | {"span_id": step, "end_time_unix_nano": END_NS + number, "attributes": LEAF["attributes"] | said}
        for number, (step, said) in enumerate(
            [(TWO, {"ai.response.text": "find()", "gen_ai.response.id": "a"}), (THREE, {"gen_ai.response.id": "b"})]
        )
    ]
    outer = WRAPPER | {"end_time_unix_nano": END_NS + 9}
    for exports in ([[*steps, outer]], [steps, [outer]], [[steps[0]], [steps[1]], [outer]]):
        found = sorted(spans_sent(fresh(), *exports), key=lambda event: event.response_id)
        assert [(event.response_id, event.output, event.session_id) for event in found] == [
            ("a", "find()", ""),
            ("b", "it", "s-1"),
        ]


def test_an_agent_by_its_attributes_alone_is_no_call() -> None:
    """A span without an operation that sums up the calls further inside is not counted beside them."""
    sums = {"gen_ai.request.model": "big", "gen_ai.usage.input_tokens": 200, "gen_ai.completion": "it"}
    agent, step = {"span_id": ONE, "attributes": sums}, {"span_id": TWO, "parent_span_id": ONE}
    calls = [{"span_id": bytes([n]) * 8, "parent_span_id": TWO, "attributes": CALL | TEXTS | USAGE} for n in (8, 9)]
    assert [event.tokens_in for event in spans_sent(fresh(), [agent, step, *calls])] == [100, 100]


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        ({"gen_ai.operation.name": "invoke_agent", "headrace.task": "helpdesk"}, CALL | TEXTS),
        (CALL | TEXTS | {"headrace.task": "rephrase"}, CALL | TEXTS | {"headrace.task": "router"}),
        (CALL | TEXTS | {"gen_ai.response.id": "a"}, CALL | TEXTS | {"gen_ai.response.id": "b"}),
    ],
)
def test_what_is_inside_another_is_not_always_the_same_call(outer: dict[str, Any], inner: dict[str, Any]) -> None:
    """An agent that names its task, two tasks, or two responses are two answers."""
    spans = [{"span_id": ONE, "attributes": outer}, {"span_id": TWO, "parent_span_id": ONE, "attributes": inner}]
    assert len(spans_sent(fresh(), spans)) == len(spans_sent(fresh(), spans[:1], spans[1:])) == 2


AGENT = {
    "span_id": THREE,
    "attributes": {"gen_ai.operation.name": "invoke_agent", "session.id": "s-9", "user.id": "u-9"},
}


@pytest.mark.parametrize("way", [0, 1, 3], ids=["agent first", "call first", "in two exports"])
def test_a_session_may_be_told_by_the_agent_around_a_call(way: int) -> None:
    """A trace is one request: its calls have the session and the user that its other spans name."""
    call = {"span_id": ONE, "parent_span_id": THREE, "attributes": CALL | TEXTS}
    (event,) = spans_sent(fresh(), *ways(AGENT, call)[way])
    assert (event.session_id, event.user_ref) == ("s-9", "u-9")


def test_two_sessions_in_a_trace_are_no_calls_session() -> None:
    """Where a trace names two, a call has the one that it names itself, or none."""
    other = AGENT | {"span_id": TWO, "attributes": AGENT["attributes"] | {"session.id": "s-8"}}
    calls = [{"span_id": ONE, "attributes": CALL | TEXTS}, {"attributes": CALL | TEXTS | {"session.id": "s-7"}}]
    assert sorted(event.session_id for event in spans_sent(fresh(), [AGENT, other, *calls])) == ["", "s-7"]


ASKED, CHOSEN = (
    ("gen_ai.user.message", {"content": "My VPN is down"}),
    (
        "gen_ai.choice",
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "it"}},
    ),
)
BARE = {"span_id": ONE, "attributes": CALL | USAGE | {"session.id": "s-1"}}


@pytest.mark.parametrize("order", ["span first", "records first", "span between"])
def test_texts_in_log_records_come_to_their_span(order: str) -> None:
    """The inference of the span has the texts of its records, each of which may arrive before or after it."""
    reader = fresh()
    logs = [lambda: reader.logs(records(ASKED).resource_logs), lambda: reader.logs(records(CHOSEN).resource_logs)]
    span = lambda: read(BARE, reader=reader)  # noqa: E731
    steps = {"span first": [span, *logs], "records first": [*logs, span], "span between": [logs[0], span, logs[1]]}
    (event,) = kept([step() for step in steps[order]])
    assert (event.input, event.output, event.label, event.task) == ("My VPN is down", "it", "it", "router")
    assert (event.tokens_in, event.session_id, event.latency_ms) == (100, "s-1", 1000.0)
    assert event.revision > 0


def test_texts_in_log_records_are_kept_without_their_span() -> None:
    """They are an inference at once, which a span without texts does not replace on another gateway."""
    (event,) = fresh().logs(records(ASKED, CHOSEN).resource_logs).events
    assert isinstance(event, Inference)
    assert (event.input, event.output, event.span_id) == ("My VPN is down", "it", ONE.hex())
    (bare,) = read(BARE).events
    assert event.revision > bare.revision


@pytest.mark.parametrize(
    "record",
    [
        records(("", '{"role": "user", "content": "My VPN is down"}'), **{"event.name": "gen_ai.user.message"}),
        records(("gen_ai.user.message", {"role": "user", "content": [{"type": "text", "text": "My VPN is down"}]})),
        records(("gen_ai.user.message", {}), **{"gen_ai.event.content": '{"content": "My VPN is down"}'}),
        records(("gen_ai.user.message", {"content": {"role": "user", "parts": [{"text": "My VPN is down"}]}})),
        records(("", "My VPN is down"), **{"event.name": "gen_ai.prompt"}),
        records(("gen_ai.content.prompt", {}), **{"gen_ai.prompt": "My VPN is down"}),
        records(("gen_ai.client.inference.operation.details", {}), **{"gen_ai.input.messages": "My VPN is down"}),
        records(("gen_ai.client.inference.operation.details", {"gen_ai.input.messages": "My VPN is down"})),
    ],
)
def test_a_record_may_have_its_text_in_body_or_attributes(record: ExportLogsServiceRequest) -> None:
    """Semantic Kernel writes JSON text, Google contents with parts, others structures or attributes."""
    (event,) = fresh().logs(record.resource_logs).events
    assert isinstance(event, Inference) and event.input == "My VPN is down"


def test_records_without_a_span_are_named() -> None:
    """Texts of no span belong to no call."""
    found = fresh().logs(records(ASKED, span=b"", trace=b"").resource_logs)
    assert found.events == [] and found.refused == ["log record gen_ai.user.message: it has no trace_id and span_id"]


def test_tenants_do_not_share_what_was_told() -> None:
    """The same ids of another tenant are another call."""
    recent = RecentCalls()
    mine, other = (SpanReader(PLAN, Principal(name, frozenset(Role)), recent) for name in ("acme", "rival"))
    read(BARE, reader=mine)
    (event,) = other.logs(records(ASKED, CHOSEN).resource_logs).events
    assert isinstance(event, Inference)
    assert (event.tenant, event.session_id, event.tokens_in) == ("rival", "", 0)


def test_an_evaluation_of_a_joined_span_names_the_inference() -> None:
    """A log record written in either of two spans of one call is about the same answer."""
    reader = fresh()
    (event,) = read(WRAPPER, LEAF, reader=reader).events
    for span in (ONE, TWO):
        record = records(("gen_ai.evaluation.result", {}), span=span, **{"gen_ai.evaluation.name": "Relevance"})
        (said,) = reader.logs(record.resource_logs).events
        assert isinstance(said, Feedback) and said.inference_id == event.inference_id


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("of", ["one response", "a chain"])
def test_thousands_that_tell_of_one_call_are_joined_in_time(of: str, backwards: bool) -> None:
    """Spans that all name one response, or are each inside the next, take no time that grows by squares."""
    number = 4000
    calls = [
        Call(
            trace=str(place if of == "one response" else 0),
            span=str(place),
            parent="" if of == "one response" else str(place + 1),
            scope=str(place),
            start_ns=START_NS,
            end_ns=END_NS + (-place if backwards else place),
            response_id="r" if of == "one response" else "",
        )
        for place in range(number)
    ]
    recent, started = RecentCalls(), time.process_time()
    for _ in range(2):
        (members,) = grouped(calls)
        recent.join("acme", members)
    assert time.process_time() - started < 5 * slowness()
    assert len(members) == number


def test_what_was_told_is_remembered_within_bounds() -> None:
    """After its time, or when others fill the memory, a call is forgotten, the oldest first."""
    now = [0.0]
    recent = RecentCalls(max_bytes=3 * CALL_BYTES, max_age_s=60.0, clock=lambda: now[0])
    reader = SpanReader(PLAN, ANYBODY, recent)
    spans = [{"span_id": bytes([number]) * 8, "attributes": CALL | USAGE} for number in range(1, 5)]
    for span in spans:
        read(span, reader=reader)
    known = [recent.inference_of("acme", TRACE.hex(), span["span_id"].hex()) for span in spans]
    assert [one is None for one in known] == [True, False, False, False]
    now[0] = 61.0
    read(BARE | {"span_id": SPAN}, reader=reader)
    known = [recent.inference_of("acme", TRACE.hex(), span["span_id"].hex()) for span in spans]
    assert known == [None] * 4
