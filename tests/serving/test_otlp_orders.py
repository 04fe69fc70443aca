"""What spans and log records tell of a call does not depend on how they are cut into exports, nor on their order."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from otlp_spans import CALL, USAGE, export, read
from test_otlp import START_NS, TRACE
from test_otlp_joining import (
    AGENT,
    ASKED,
    CHOSEN,
    LEAF,
    ONE,
    OTHER_TRACE,
    POOR,
    RICH,
    TEXTS,
    THREE,
    TWO,
    WRAPPER,
    fresh,
    kept,
    records,
    spans_sent,
)  # fmt: skip

from headrace.contract.events import Feedback, Inference
from serving.otlp.genai import SpanReader


def orders(*spans: dict[str, Any]) -> list[list[list[dict[str, Any]]]]:
    """Spans in one export, and each in its own in every order."""
    return [[list(spans)], *([[one] for one in order] for order in itertools.permutations(spans))]


def scoped(reader: SpanReader, exports: list[list[dict[str, Any]]]) -> list[Inference]:
    """The events of exports whose spans each name their instrumentation, too."""
    found = []
    for spans in exports:
        made = ExportTraceServiceRequest()
        for span in spans:
            inner = export(
                {name: one for name, one in span.items() if name != "scope"}, scope=span.get("scope", "cases")
            )
            made.resource_spans.extend(inner.resource_spans)
        found.append(reader.spans(made.resource_spans))
    return kept(found)


def at(start_s: float, end_s: float) -> dict[str, int]:
    return {
        "start_time_unix_nano": START_NS + int(start_s * 1e9),
        "end_time_unix_nano": START_NS + int(end_s * 1e9),
    }


def said(question: str, answer: str, response: str = "", **more: Any) -> dict[str, Any]:
    named = {"gen_ai.response.id": response} if response else {}
    return CALL | {"gen_ai.prompt": question, "gen_ai.completion": answer} | named | more


LEVELS = [
    {"span_id": ONE, "scope": "vercel", "attributes": TEXTS | CALL | {"headrace.task": "router"}} | at(0, 3),
    {"span_id": TWO, "parent_span_id": ONE, "scope": "langchain", "attributes": TEXTS | CALL} | at(0, 2),
    {"span_id": THREE, "parent_span_id": TWO, "scope": "openai", "attributes": TEXTS | CALL | USAGE} | at(0, 1),
]


@pytest.mark.parametrize("exports", orders(*LEVELS))
def test_three_instrumentations_of_one_call_are_one_answer(exports: list[list[dict[str, Any]]]) -> None:
    """Each inside the next, in any order: also where the one between the other two comes last."""
    (event,) = scoped(fresh(), exports)
    assert (event.input, event.output, event.tokens_in, event.task) == ("My VPN is down", "it", 100, "router")


STEPS = [
    {"span_id": ONE, "attributes": WRAPPER["attributes"] | {"ai.telemetry.functionId": "helpdesk"}} | at(0, 3),
    {
        "span_id": TWO,
        "parent_span_id": ONE,
        "attributes": LEAF["attributes"] | {"ai.response.text": "find()", "gen_ai.response.id": "a"},
    }
    | at(0, 1),
    {"span_id": THREE, "parent_span_id": ONE, "attributes": LEAF["attributes"] | {"gen_ai.response.id": "b"}}
    | at(2, 3),
]


@pytest.mark.parametrize("exports", orders(*STEPS))
def test_the_last_step_of_a_wrapper_is_its_answer_in_any_order(exports: list[list[dict[str, Any]]]) -> None:
    """A later step that comes later takes the wrapper over, and nothing of the wrapper stays with the earlier one."""
    found = sorted(scoped(fresh(), exports), key=lambda event: event.response_id)
    assert [(one.response_id, one.output, one.session_id, one.input) for one in found] == [
        ("a", "find()", "", ""),
        ("b", "it", "s-1", "My VPN is down"),
    ]


@pytest.mark.parametrize("response", ["chatcmpl-A1", "None"])
def test_a_servers_one_response_id_does_not_make_two_answers_one(response: str) -> None:
    """What the same trace says of it later with other texts is another answer."""
    calls = [
        {"span_id": span, "attributes": said(*texts, response)} | when
        for span, texts, when in [(ONE, ("q1", "a1"), at(0, 1)), (TWO, ("q2", "a2"), at(5, 6))]
    ]
    for exports in orders(*calls):
        assert sorted(event.output for event in scoped(fresh(), exports)) == ["a1", "a2"]


GUARDED = [
    {"span_id": ONE, "attributes": said("My VPN is down", "it", "r-1") | USAGE} | at(0, 3),
    {
        "span_id": TWO,
        "parent_span_id": ONE,
        "attributes": said("Is this safe?", "yes", **{"gen_ai.request.model": "guard"}),
    }
    | at(1, 2),
]
CLIENT = {"span_id": THREE, "parent_span_id": ONE, "attributes": said("My VPN is down", "it")} | at(0, 1)
GUARD_OF_ANSWER = {"span_id": b"\4" * 8, "parent_span_id": ONE, "attributes": said("Is this polite?", "no")} | at(2, 3)


@pytest.mark.parametrize("exports", [
    *orders(*GUARDED), *orders(*GUARDED, CLIENT), *orders(*GUARDED, CLIENT, GUARD_OF_ANSWER)
])  # fmt: skip
def test_a_guard_inside_a_call_is_another_call(exports: list[list[dict[str, Any]]]) -> None:
    """Its question and answer are not those of the call that it checks, nor is the response's id its."""
    found = {one.input: (one.output, one.response_id, one.tokens_in) for one in scoped(fresh(), exports)}
    polite = {"Is this polite?": ("no", "", 0)} if sum(map(len, exports)) == 4 else {}
    assert found == {"My VPN is down": ("it", "r-1", 100), "Is this safe?": ("yes", "", 0)} | polite
    assert len(scoped(fresh(), exports)) == len(found)


@pytest.mark.parametrize(
    ("outer", "inner"),
    [(("VPN down", "it"), ("Route: VPN down", "it")), (("VPN down", "it"), ("VPN down", "It.")),
     (("VPN down", ""), ("Route: VPN down", "It.")), (("VPN down", "it"), ("Route", ""))],
)  # fmt: skip
def test_a_wrapper_and_its_leaf_agree_on_one_text_or_lack_one(outer: tuple[str, str], inner: tuple[str, str]) -> None:
    """A template around the question, or a parser behind the answer, does not part them."""
    spans = [
        {"span_id": ONE, "attributes": said(*outer)},
        {"span_id": TWO, "parent_span_id": ONE, "attributes": said(*inner)},
    ]
    for exports in orders(*spans):
        assert len(scoped(fresh(), exports)) == 1


def test_a_guard_by_log_records_is_another_call_too() -> None:
    """Once the texts of both are known, whichever of them came last."""
    for order in itertools.permutations(range(3)):
        reader, found = fresh(), []
        told = [
            lambda reader: reader.spans(export(GUARDED[0]).resource_spans),
            lambda reader: reader.spans(export(GUARDED[1] | {"attributes": CALL}).resource_spans),
            lambda reader: reader.logs(
                records(
                    ("gen_ai.user.message", {"content": "Is this safe?"}),
                    ("gen_ai.choice", {"index": 0, "message": {"content": "yes"}}),
                    span=TWO,
                ).resource_logs
            ),
        ]
        found = [told[number](reader) for number in order]
        assert sorted((one.input, one.output) for one in kept(found)) == [
            ("Is this safe?", "yes"),
            ("My VPN is down", "it"),
        ], order


LONG = "My VPN is down and I have tried " + "everything, really everything, " * 9


@pytest.mark.parametrize(
    ("client", "proxy", "answers"),
    [
        ({"answer": "it\n"}, {}, 1),
        ({"question": LONG}, {"question": LONG[:100]}, 1),
        ({"question": LONG}, {"question": LONG[:100] + "..."}, 1),
        ({"gen_ai.usage.output_tokens": 10}, {"gen_ai.usage.output_tokens": 50}, 1),
        ({}, {"when": at(4, 5)}, 1),
        ({}, {"when": at(1000, 1001)}, 2),
        ({}, {"scope": "client", "when": at(0.1, 0.9)}, 1),
        ({}, {"scope": "client", "when": at(0.5, 1.5)}, 2),
        ({"answer": "it"}, {"answer": "it is not"}, 2),
    ],
)
def test_a_client_and_its_proxy_are_one_answer(client: dict[str, Any], proxy: dict[str, Any], answers: int) -> None:
    """In traces of their own, with ends of texts, tokens and clocks as each of them has them."""
    plain = {"question": "My VPN is down", "answer": "it", "response": "r-1", "when": at(0, 1)}
    spans = [
        {
            "trace_id": trace,
            "scope": fields.pop("scope"),
            **fields.pop("when"),
            "attributes": said(**fields),
        }
        for trace, fields in (
            (TRACE, plain | {"scope": "client"} | client),
            (OTHER_TRACE, plain | {"scope": "proxy"} | proxy),
        )
    ]
    for exports in orders(*spans):
        assert len(scoped(fresh(), exports)) == answers


def test_a_text_that_one_instrumentation_cut_is_whole_by_the_other() -> None:
    """Whichever of the two leads, and whichever comes first."""
    texts = [said(LONG, LONG[:80] + "…", "r-1"), said(LONG[:100], LONG, "r-1")]
    spans = [
        {"span_id": span, "scope": scope, "attributes": text}
        for span, scope, text in zip((ONE, TWO), ("first", "second"), texts, strict=True)
    ]
    for exports in orders(*spans):
        (event,) = scoped(fresh(), exports)
        assert (event.input, event.output) == (LONG, LONG)


@pytest.mark.parametrize("ended", ["history in pieces", "a choice last"])
def test_the_last_of_a_conversation_in_log_records_is_the_answer(ended: str) -> None:
    """What was asked and answered before stands in earlier records of the span, in exports of their own, too."""
    old = [("gen_ai.user.message", {"content": "old q"}), ("gen_ai.assistant.message", {"content": "old a"})]
    pieces = [old, [ASKED], [CHOSEN]] if ended == "history in pieces" else [old, [ASKED, CHOSEN]]
    reader = fresh()
    (event,) = kept([reader.logs(records(*piece).resource_logs) for piece in pieces])
    assert (event.input, event.output) == ("My VPN is down", "it")


def test_ids_of_zeros_are_none() -> None:
    """Spans and records without a context of their own are not one call: they are named."""
    none = {"trace_id": bytes(16), "span_id": bytes(8)}
    found = read({"attributes": said("q1", "a1")} | none, {"attributes": said("q2", "a2")} | none)
    assert found.events == [] and len(found.refused) == 2
    logs = fresh().logs(records(ASKED, CHOSEN, trace=bytes(16), span=bytes(8)).resource_logs)
    assert logs.events == [] and "it has no trace_id and span_id" in logs.refused[0]
    rated = {"gen_ai.evaluation.name": "user_feedback", "gen_ai.conversation.id": "c-1"}
    record = records(("gen_ai.evaluation.result", {}), trace=bytes(16), span=bytes(8), **rated)
    (event,) = fresh().logs(record.resource_logs).events
    assert isinstance(event, Feedback) and (event.trace_id, event.span_id, event.session_id) == ("", "", "c-1")


def test_a_root_of_zeros_is_no_parent() -> None:
    """Calls whose parent is all zeros are not inside one another."""
    roots = [{"span_id": span, "parent_span_id": bytes(8), "attributes": said("q", "a")} for span in (ONE, TWO)]
    assert len(spans_sent(fresh(), roots)) == 2


@pytest.mark.parametrize(
    "exports",
    orders({"span_id": ONE, "parent_span_id": THREE, "attributes": CALL | TEXTS}, AGENT)
    + orders(WRAPPER | {"attributes": CALL | TEXTS}, LEAF, AGENT),
)
def test_a_session_around_a_call_is_its_own_in_any_order(exports: list[list[dict[str, Any]]]) -> None:
    """Also where the span that names it is exported before the call."""
    (event,) = spans_sent(fresh(), *exports)
    assert (event.session_id, event.user_ref) == ("s-9", "u-9")


@pytest.mark.parametrize("seed", range(4))
def test_exports_in_any_order_tell_the_same(seed: int) -> None:
    """Of traces with wrappers, steps, log records and sessions, cut up and shuffled, the same answers are left."""
    chance = random.Random(seed)
    shapes = [LEVELS, STEPS, [RICH | at(0, 2), POOR | {"scope": "second"} | at(1, 2)], [WRAPPER, LEAF]]
    around = AGENT | {"span_id": b"\5" * 8}
    spans = []
    for number in range(6):
        for span in [*chance.choice(shapes), *([around] if chance.random() < 0.5 else [])]:
            response = span["attributes"].get("gen_ai.response.id")
            named = {"gen_ai.response.id": f"{response}-{number}"} if response else {}
            spans.append({"trace_id": bytes([number + 1]) * 16, **span, "attributes": span["attributes"] | named})

    def left(exports: list[list[dict[str, Any]]]) -> list[tuple[Any, ...]]:
        names = ("trace_id", "input", "output", "session_id", "response_id", "tokens_in", "task", "latency_ms")
        return sorted(tuple(getattr(one, name) for name in names) for one in scoped(fresh(), exports))

    whole = left([spans])
    for _ in range(8):
        chance.shuffle(spans)
        cuts = [0, *sorted(chance.sample(range(1, len(spans)), 5)), len(spans)]
        assert left([spans[start:end] for start, end in itertools.pairwise(cuts)]) == whole
