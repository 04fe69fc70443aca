"""One bad element of a batch costs itself alone, wherever it stands, and is named."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans
from otlp_spans import CALL, END_NS, PLAN, USAGE, export, read
from test_otlp import ANYBODY

from headrace.contract.events import Feedback, Inference
from headrace.contract.texts import MAX_NAME, MAX_TEXT, mark, shortened
from serving.otlp.genai import Found, SpanReader

SPANS = 1000
LONG = "x" * (MAX_TEXT + 1)
GOOD = CALL | USAGE | {"gen_ai.prompt": "My VPN is down", "gen_ai.completion": "it"}
RATED = (
    "gen_ai.evaluation.result",
    {"gen_ai.evaluation.name": "user_feedback", "gen_ai.evaluation.score.label": "down"},
)
_BATCH = export(*({"attributes": GOOD} for _ in range(SPANS)))


def batch(bad: dict[str, Any], *places: int) -> ResourceSpans:
    """1,000 spans, of which those at these places are bad."""
    made = ResourceSpans()
    made.CopyFrom(_BATCH.resource_spans[0])
    changed = export({"attributes": GOOD} | bad).resource_spans[0].scope_spans[0].spans[0]
    for place in places:
        span = made.scope_spans[0].spans[place]
        own = span.span_id
        span.CopyFrom(changed)
        if "span_id" not in bad:
            span.span_id = own
    return made


def nested(depth: int) -> Any:
    return [nested(depth - 1)] if depth else "x"


# What is not taken of the span at all, and why.
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no ids": ({"span_id": b"", "trace_id": b""}, "it has no trace_id and span_id"),
    "no time": ({"start_time_unix_nano": 0, "end_time_unix_nano": 0}, "neither its start nor its end lies between"),
    "a time that never comes": (
        {"start_time_unix_nano": 2**64 - 1, "end_time_unix_nano": 2**64 - 1},
        "neither its start nor its end lies between",
    ),
    "no known operation": (
        {"attributes": {"gen_ai.operation.name": "ponder", "gen_ai.request.model": "big"}},
        "it looks like a call of a model by 'cases'",
    ),
}
# What is left out of a span that is taken, and what is said of it.
LEFT_OUT: dict[str, tuple[dict[str, Any], str]] = {
    "tokens as words": (
        {"gen_ai.usage.input_tokens": "many"},
        "gen_ai.usage.input_tokens is no number from 0 on: 'many'",
    ),
    "tokens below none": ({"gen_ai.usage.input_tokens": -1}, "gen_ai.usage.input_tokens is no number from 0 on"),
    "tokens beyond number": ({"gen_ai.usage.output_tokens": math.inf}, "gen_ai.usage.output_tokens is no number"),
    "tokens without end": ({"gen_ai.usage.output_tokens": 2**62}, "gen_ai.usage.output_tokens is more than 2^31"),
    "tokens as a list": ({"gen_ai.usage.output_tokens": [2]}, "gen_ai.usage.output_tokens is no number"),
    "tokens as yes": ({"gen_ai.usage.output_tokens": True}, "gen_ai.usage.output_tokens is no number"),
    "a time that is none": ({"gen_ai.response.time_to_first_chunk": math.nan}, "time_to_first_chunk is no number"),
    "a cost that is none": ({"headrace.cost": math.nan}, "headrace.cost is no number from 0 on: 'nan'"),
    "a session as a list": ({"gen_ai.conversation.id": ["a"]}, "gen_ai.conversation.id is no text"),
    "consent that says neither": ({"headrace.consent": "perhaps"}, "headrace.consent is neither yes nor no: 'perhaps'"),
    "an id that names nothing": ({"headrace.inference_id": "undefined"}, "headrace.inference_id names no event"),
    "an id of zeros": (
        {"headrace.inference_id": "00000000-0000-0000-0000-000000000000"},
        "headrace.inference_id names no event",
    ),
    "an id without end": ({"headrace.inference_id": "x" * 201}, "headrace.inference_id names no event"),
    "messages of no shape": ({"gen_ai.prompt": 7}, "have no text of question"),
    "messages that are torn": ({"gen_ai.prompt": '[{"role": "us'}, "have no text of question"),
    "messages too deep": ({"gen_ai.prompt": nested(30)}, "have no text of question"),
}
# What is kept, but not as it was sent.
MENDED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a text beyond the bound": (
        {"gen_ai.prompt": LONG},
        {"extra": {"truncated": {"input": mark(LONG)}}, "input": shortened(LONG)},
    ),
    "an id of another kind": ({"headrace.inference_id": "chat-1"}, {"given_id": "chat-1"}),
    "half an emoji": (
        {"gen_ai.prompt": json.dumps([{"role": "user", "content": "Printer \ud83d"}])},
        {"input": "Printer \ufffd"},
    ),
    "both halves apart": ({"gen_ai.prompt": '"\\ud83d\\ude00"'}, {"input": "\N{GRINNING FACE}"}),
    "a session as a number": ({"gen_ai.conversation.id": 17}, {"session_id": "17"}),
    "an operation as a number": ({"gen_ai.operation.name": 3}, {}),
    "json that is too deep": ({"gen_ai.prompt": "[" * 100_000}, {}),
}
PLACES = (0, SPANS // 2, SPANS - 1)
ODD = [_BATCH.resource_spans[0].scope_spans[0].spans[place].span_id.hex() for place in PLACES]


def found_with(bad: dict[str, Any], *places: int) -> Found:
    return SpanReader(PLAN, ANYBODY).spans([batch(bad, *places)])


def odd_ones(found: Found) -> list[Inference]:
    """The inferences of the bad spans."""
    return [event for event in found.events if isinstance(event, Inference) and event.span_id in ODD]


@pytest.mark.parametrize("place", PLACES, ids=["first", "middle", "last"])
@pytest.mark.parametrize("kind", REFUSED)
def test_a_span_that_cannot_be_taken_costs_itself(kind: str, place: int) -> None:
    """999 are taken, and the answer names the one."""
    bad, why = REFUSED[kind]
    found = found_with(bad, place)
    assert (len(found.events), found.noted) == (SPANS - 1, [])
    (refused,) = found.refused
    assert refused.startswith("span ") and why in refused


@pytest.mark.parametrize("kind", LEFT_OUT)
def test_an_attribute_that_cannot_be_read_costs_itself(kind: str) -> None:
    """All 1,000 are taken; the first, the middle and the last lack that attribute, which the answer names."""
    bad, why = LEFT_OUT[kind]
    found = found_with({"attributes": GOOD | bad}, *PLACES)
    assert (len(found.events), found.refused) == (SPANS, [])
    if found.unread:
        assert [why in noted and "3 calls" in noted and ODD[0] in noted for noted in found.noted] == [True]
    else:
        assert [why in noted and odd in noted for noted, odd in zip(found.noted, ODD, strict=True)] == [True] * 3
    assert {event.output for event in odd_ones(found)} == {"it"}
    assert {event.consent for event in odd_ones(found)} == {"headrace.consent" not in bad}


@pytest.mark.parametrize("kind", MENDED)
def test_a_value_that_can_be_mended_costs_nothing(kind: str) -> None:
    """All 1,000 are taken as they are, but for what cannot be carried in the first, the middle and the last."""
    bad, fields = MENDED[kind]
    found = found_with({"attributes": GOOD | bad}, *PLACES)
    assert (len(found.events), found.refused, found.noted) == (SPANS, [], [])
    odd = odd_ones(found)
    assert len(odd) == 3 and {event.output for event in odd} == {"it"}
    assert all({name: getattr(event, name) for name in fields} == fields for event in odd)


@pytest.mark.parametrize("score", [math.nan, math.inf, "high", [1.0]])
def test_a_score_that_is_no_number_costs_itself(score: Any) -> None:
    """The evaluation, its span and its neighbours are taken; the score is named."""
    odd = ("gen_ai.evaluation.result", {"gen_ai.evaluation.name": "Relevance", "gen_ai.evaluation.score.value": score})
    found = read({"attributes": GOOD, "events": [RATED, odd, RATED]})
    assert found.refused == []
    assert [type(event) for event in found.events] == [Inference, Feedback, Feedback, Feedback]
    assert [event.value for event in found.events if isinstance(event, Feedback)] == [-1.0, None, -1.0]
    assert "gen_ai.evaluation.score.value is no number" in found.noted[0]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"gen_ai.evaluation.score.value": 1.0}, "gen_ai.evaluation.name: the attribute is missing"),
        ({"gen_ai.evaluation.name": "x", "headrace.signal": "séance"}, "Feedback.signal"),
        ({"gen_ai.evaluation.name": "x", "headrace.blame": "weather"}, "Feedback.blame"),
    ],
)
def test_an_evaluation_that_cannot_be_taken_costs_itself(said: dict[str, Any], why: str) -> None:
    """The answer and the other evaluations of its span are taken."""
    found = read(
        {"attributes": GOOD, "events": [RATED, ("gen_ai.evaluation.result", said), RATED]}, {"attributes": GOOD}
    )
    assert [type(event) for event in found.events].count(Inference) == 2
    assert [type(event) for event in found.events].count(Feedback) == 2
    (refused,) = found.refused
    assert why in refused


def test_long_names_stay_apart() -> None:
    """Names beyond the bound keep their head and a digest, so that two of them are not one."""
    found = read(*({"attributes": GOOD | {"session.id": "s" * 300 + end}} for end in "ab"))
    sessions = {event.session_id for event in found.events if isinstance(event, Inference)}
    assert len(sessions) == 2 and all(len(name) <= MAX_NAME and name.startswith("sss") for name in sessions)


def test_values_of_every_kind_are_read_totally() -> None:
    """Any value of OpenTelemetry's under any attribute that is read: nothing is raised, and the answer stands."""
    kinds = [
        {}, {"stringValue": ""}, {"boolValue": True}, {"intValue": "7"}, {"doubleValue": "NaN"}, {"bytesValue": "AP8="},
        {"arrayValue": {"values": [{}, {"kvlistValue": {"values": [{"key": "role", "value": {"intValue": "1"}}]}}]}},
        {"kvlistValue": {"values": [{"key": "type", "value": {"arrayValue": {}}}, {"key": "text"}]}},
        {"kvlistValue": {"values": [{"key": "content", "value": {"arrayValue": {}}}, {"key": "message"}]}},
    ]  # fmt: skip
    names = [
        "gen_ai.operation.name", "gen_ai.prompt", "gen_ai.completion", "gen_ai.input.messages", "gen_ai.response.id",
        "gen_ai.prompt.0.content", "gen_ai.prompt.0", "gen_ai.prompt.x.y", "llm.input_messages.0.message.role",
        "input.value", "output.value", "metadata", "events", "request_data", "mlflow.chat.tokenUsage",
        "headrace.inference_id", "headrace.version", "headrace.label", "session.id", "gen_ai.agent.name",
        "openinference.span.kind", "ai.operationId", "gen_ai.evaluation.name", "gen_ai.system_instructions",
    ]  # fmt: skip
    made = export(*({"attributes": GOOD} for _ in range(len(kinds) * len(names))))
    spans = iter(made.resource_spans[0].scope_spans[0].spans)
    for name in names:
        for kind in kinds:
            span = next(spans)
            span.attributes.add(key=name).value.CopyFrom(ParseDict(kind, AnyValue()))
            event = span.events.add(name="gen_ai.evaluation.result", time_unix_nano=END_NS)
            event.attributes.add(key=name).value.CopyFrom(ParseDict(kind, AnyValue()))
            span.events.add(name="gen_ai.choice", attributes=event.attributes)
            span.events.add(name="gen_ai.user.message", attributes=event.attributes)
            span.events.add(name="gen_ai.content.prompt", attributes=event.attributes)
    found = SpanReader(PLAN, ANYBODY).spans(made.resource_spans)
    taken = [event for event in found.events if isinstance(event, Inference)]
    # Those with a kind that is no answer's are other things.
    assert len(taken) >= len(kinds) * (len(names) - 2) and all(event.to_json() for event in taken)
