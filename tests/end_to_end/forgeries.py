"""Forged events of every kind, and every way that the roles ingest and publish can send them."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from poisoned_stage import LABELLED, Stage
from role_callers import PAGE, key_id

from headrace.access.secrets import gateway_secret
from headrace.access.tokens import answer_token
from headrace.bus.kafka import KafkaProducer
from headrace.contract.events import Arm, Event, Feedback, Inference, Signal, Source, new_feedback, new_inference, pack
from headrace.contract.ids import uuid7
from headrace.contract.topics import (
    FEEDBACK,
    INFERENCES,
    JOBS,
    LABELS,
    PROMOTIONS,
    TRIGGERS,
)
from headrace.errors import HeadraceError
from headrace.settings import Settings

# The best and the worst of each signal that has others than a thumb.
VALUES = {Signal.RATING: (5, 1), Signal.RESOLUTION: (1, 0)}


def forged_answers(stage: Stage) -> list[Inference]:
    """New ones: every arm, time and version, with made-up draws and signatures; foreign tenants and keys."""
    now, honest = datetime.now(UTC), stage.answers
    times = (datetime(2001, 1, 1, tzinfo=UTC), honest[100].occurred_at, now, datetime(2099, 1, 1, tzinfo=UTC))
    kinds = itertools.product(Arm, ("router@0", "router@9"), times, (True, False), (None, "0" * 32))
    made = []
    for n, (arm, version, at, audited, proof) in enumerate(itertools.chain(kinds, kinds)):
        text = honest[n].input if n % 2 else f"a forged question {n} about {n * 104729}"
        made.append(
            new_inference(
                "router", version, arm=arm, occurred_at=at, audited=audited, audit_probability=1e-6, proof=proof,
                label="hr", input=text, user_ref=f"invented-{n}", parent_id=honest[n].inference_id,
            )
        )  # fmt: skip
    made += [one.model_copy(update={"tenant": "victim", "inference_id": uuid7()}) for one in made[:20]]
    return made + [
        one.model_copy(update={"key_id": key_id(stage.frontends[0]), "inference_id": uuid7()}) for one in made[:20]
    ]


def repeated_answers(stage: Stage) -> list[Inference]:
    """The gateways' own ids with other labels, times, versions and revisions."""
    made = []
    for n, one in enumerate(stage.answers[:120]):
        changes = {"label": "out_of_scope", "revision": (0, 9, 1_000_000)[n % 3], "proof": (None, "0" * 32)[n % 2]}
        if n % 5 == 0:
            changes |= {"occurred_at": datetime.now(UTC), "version": "router@9", "arm": Arm.SHADOW}
        made.append(one.model_copy(update=changes | {"key_id": "", "emitter": ""}))
    return made


def forged_feedback(stage: Stage, about: Sequence[Inference]) -> list[Feedback]:
    """Every source with every signal, under new ids and under those of experts' labels, by every reference."""
    now, made = datetime.now(UTC), list[Feedback]()
    kinds = list(itertools.product(Source, Signal, (0, 9, 1_000_000)))
    for n, (source, sign, revision) in enumerate(kinds * 2):
        one, label = about[n % len(about)], stage.labels[n % LABELLED]
        reference = (
            {},
            {"session_id": one.session_id},
            {"trace_id": one.trace_id},
            {"trace_id": one.trace_id, "span_id": one.span_id},
            {"response_id": one.response_id},
        )[n % 5]
        made.append(
            new_feedback(
                None if any(reference.values()) else one.inference_id, source, sign, label="out_of_scope",
                task="router", value=VALUES.get(sign, (1, -1))[n % 2], revision=revision, rater=f"invented-{n}",
                blame="routing",
                feedback_id=label.feedback_id if n % 3 == 0 else uuid7(),
                occurred_at=(label.occurred_at, now, datetime(2099, 1, 1, tzinfo=UTC))[n % 3],
                inclusion_probability=(0.0, 1e-6)[n % 7 == 0], **reference,
            )
        )  # fmt: skip
    made += [one.model_copy(update={"tenant": "victim"}) for one in made[:10]]
    return made + [one.model_copy(update={"key_id": "0123456789"}) for one in made[:10]]


def liked(stage: Stage, answers: Sequence[Inference], **fields: Any) -> list[Feedback]:
    """A thumb up for each of them."""
    return [new_feedback(one.inference_id, "user", "thumb", value=1, task="router", **fields) for one in answers]


def refused(event: Event) -> bool:
    """Whether the gateway refuses it of a key with the role ingest."""
    if event.tenant != "default" or event.key_id:
        return True
    return isinstance(event, Feedback) and bool(
        event.source not in (Source.USER, Source.IMPLICIT) or event.inclusion_probability
    )


async def by_http(stage: Stage) -> int:
    """As an array, as lines, packed by gzip, and one by one."""
    fresh = forged_answers(stage)
    answers, said = fresh + repeated_answers(stage), forged_feedback(stage, stage.answers)
    own = [one for one in fresh if not refused(one)]
    events: list[Event] = [*answers, *said[: len(said) // 2], *liked(stage, own)]
    thirds = [events[n::3] for n in range(3)]
    lines = b"\n".join(one.to_json() for one in thirds[1])
    ndjson, zipped = {"content_type": "application/x-ndjson"}, {"content_encoding": "gzip"}
    for sent, body, headers in (
        (thirds[0], pack(thirds[0]), {}),
        (thirds[1], lines, ndjson),
        (thirds[2], gzip.compress(pack(thirds[2])), zipped),
    ):
        told = (await stage.post("/v1/events", stage.ingest, body, **headers)).raise_for_status().json()
        assert [one["index"] for one in told["rejected"]] == [n for n, one in enumerate(sent) if refused(one)]
        assert all("takes a key with the role" in one["message"] or "leave the field out" in one["message"]
                   for one in told["rejected"])  # fmt: skip
    alone = said[len(said) // 2 :]
    told_of = await asyncio.gather(*(stage.post("/v1/feedback", stage.ingest, one.to_json()) for one in alone))
    assert [answer.status_code for answer in told_of] == [403 if refused(one) else 202 for one in alone]
    return len(events) + len(alone)


async def by_otlp(stage: Stage) -> int:
    """Spans under the gateways' ids and under new ones, with an evaluation by every source."""

    def attributes(**said: Any) -> list[KeyValue]:
        return [
            KeyValue(key=name.replace("__", "."), value=AnyValue(string_value=str(text))) for name, text in said.items()
        ]

    export, now = ExportTraceServiceRequest(), int(datetime.now(UTC).timestamp() * 1e9)
    spans = export.resource_spans.add().scope_spans.add().spans
    for n, one in enumerate(stage.answers[:20]):
        given = {"headrace__inference_id": one.inference_id} if n % 2 else {}
        span = spans.add(
            trace_id=bytes.fromhex(one.trace_id), span_id=(n + 1).to_bytes(8), name="chat big",
            start_time_unix_nano=now, end_time_unix_nano=now + 1,
            attributes=attributes(
                gen_ai__operation__name="chat", gen_ai__request__model="big", headrace__task="router",
                headrace__version="router@0", headrace__label="out_of_scope", headrace__arm="canary", **given,
            ),
        )  # fmt: skip
        for source in Source:
            said = {"gen_ai__evaluation__name": "x", "headrace__source": source, "headrace__label": "hr"}
            own = {"gen_ai__response__id": f"chatcmpl-{one.inference_id}"}
            span.events.add(name="gen_ai.evaluation.result", time_unix_nano=now, attributes=attributes(**said, **own))
    body = export.SerializeToString()
    answer = await stage.post("/v1/traces", stage.ingest, body, content_type="application/x-protobuf")
    partial = ExportTraceServiceResponse.FromString(answer.raise_for_status().content).partial_success
    assert partial.rejected_spans == 20
    assert all(
        f"source {name} takes a key" in partial.error_message for name in ("audit", "reviewer", "outcome", "judge")
    )
    return 20 * 7


async def by_the_page(stage: Stage) -> int:
    """With the tokens it got, those of others, made-up ones and none, for every source, signal and endpoint."""
    now, secret = datetime.now(UTC), gateway_secret(stage.settings)
    another = stage.answers[0].inference_id
    _, until, mac = stage.tokens[0].split(".")
    forged = ["", "x", f"{another.hex}.{until}.{mac}", f"{UUID(int=0).hex}.{until}.{mac}",
              answer_token(secret, "victim", another, now),
              answer_token(secret, "default", another, now - timedelta(days=8)),
              stage.tokens[1][:-1]]  # fmt: skip
    sent = 0
    said_of = [*itertools.product(stage.tokens[:1], Source, Signal)]
    said_of += [(token, Source.USER, sign) for token in forged for sign in (Signal.THUMB, Signal.CORRECTION)]
    for token, source, sign in said_of:
        said = {"signal": sign, "source": source, "value": 1, "token": token, "inference_id": str(another)}
        said |= {"correction": {"label": "out_of_scope"}, "comment": {"comment": "a forged word"}}.get(sign, {})
        answer = await stage.post("/v1/feedback", stage.page, json.dumps(said).encode(), origin=PAGE)
        may = source == "user" and sign in ("thumb", "rating", "correction", "comment") and token in stage.tokens
        assert answer.status_code == (202 if may else 403), (said, answer.text)
        sent += 1
    for token in stage.tokens:
        said = {"signal": "thumb", "value": 1, "token": token}
        assert (await stage.post("/v1/feedback", stage.page, json.dumps(said).encode(), origin=PAGE)).is_success
    for path in ("/v1/events", "/v1/traces", "/v1/route"):
        answer = await stage.post(path, stage.page, pack(liked(stage, stage.answers[:1])), origin=PAGE)
        assert answer.status_code == 403 and "takes a key with the role" in answer.text
    whole = {"signal": "thumb", "value": 1, "token": stage.tokens[0], "revision": 9, "feedback_id": str(uuid7())}
    assert (await stage.post("/v1/feedback", stage.page, json.dumps(whole).encode(), origin=PAGE)).status_code == 400
    assert (await stage.post("/v1/feedback", stage.page, b"{}", origin="https://evil.example")).status_code == 403
    return sent + len(stage.tokens)


async def by_kafka(stage: Stage, anonymous: Settings) -> int:
    """Without a password, past the gateway: the topics of events take them, and no other topic does."""
    fresh = [
        one.model_copy(update={"key_id": "", "inference_id": uuid7(one.occurred_at)}) for one in forged_answers(stage)
    ]
    again, said = repeated_answers(stage), forged_feedback(stage, stage.answers)
    said += liked(stage, fresh) + liked(stage, stage.answers[LABELLED:], occurred_at=datetime.now(UTC))
    producer = KafkaProducer(anonymous)
    await producer.start()
    for topic, events in ((INFERENCES, fresh + again), (FEEDBACK, said)):
        for first in range(0, len(events), 100):
            await producer.send(topic, pack(events[first : first + 100]), b"1")
    for topic in (LABELS, TRIGGERS, PROMOTIONS, JOBS):
        with pytest.raises(HeadraceError, match="does not let this client do that"):
            await producer.send(topic, pack(stage.labels[:1]), b"router")
    await producer.stop()
    return len(fresh) + len(again) + len(said)
