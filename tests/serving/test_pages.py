"""Web pages: what a key with the role publish may say, about which answer, and from where."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from stage import SECRET, Stage, Upstream, gateway, plan_text

from headrace.access.keys import revoke
from headrace.access.roles import Role
from headrace.access.tokens import LIFETIME, answer_token
from headrace.contract import ids
from headrace.contract.events import Feedback, Signal, Source

CLIENT = Path(__file__).parents[2] / "clients" / "javascript" / "src"
PAGE, ELSEWHERE = "https://helpdesk.example.com", "https://evil.example"


@pytest.fixture
async def stage(upstream: Upstream, tmp_path: Path) -> AsyncIterator[Stage]:
    async with gateway(plan_text(upstream.url), tmp_path) as running:
        yield running


@pytest.fixture
def page(stage: Stage) -> dict[str, str]:
    """The headers of a page's requests."""
    return stage.key("acme", Role.PUBLISH, origins=[PAGE]) | {"origin": PAGE}


async def asked(stage: Stage, tenant: str = "acme", **fields: Any) -> httpx.Response:
    """An answer, as the page's backend gets it."""
    body = {"model": "router", "messages": [{"role": "user", "content": "My VPN is down"}]} | fields
    return await stage.client.post("/v1/chat/completions", json=body, headers=stage.key(tenant, Role.INGEST))


async def said(stage: Stage, headers: dict[str, str], **fields: Any) -> httpx.Response:
    return await stage.client.post("/v1/feedback", json={"signal": "thumb", "value": -1} | fields, headers=headers)


async def test_every_answer_has_its_token(stage: Stage, page: dict[str, str]) -> None:
    """Plain and streamed, from both endpoints; with it in a header or in the body a page says what its user thinks."""
    backend = stage.key("acme", Role.INGEST)
    answers = [
        await asked(stage),
        await asked(stage, stream=True),
        await stage.client.post("/v1/route", json={"text": "a"}, headers=backend),
    ]
    for answer, event in zip(answers, stage.recorded.inferences, strict=True):
        assert answer.headers["x-headrace-inference-id"] == str(event.inference_id)
        token = answer.headers["x-headrace-token"]
        for headers, fields in ((page | {"x-headrace-token": token}, {}), (page, {"token": token})):
            taken = await said(stage, headers, **fields)
            assert taken.status_code == 202, taken.text
            feedback = stage.recorded.sent[-1]
            assert isinstance(feedback, Feedback)
            assert (feedback.inference_id, feedback.source) == (event.inference_id, Source.USER)
            assert (feedback.tenant, feedback.key_id) == ("acme", page["authorization"].split("_")[1])
            assert abs(feedback.occurred_at - datetime.now(UTC)) < timedelta(seconds=60)


async def test_a_page_says_each_thing_once(stage: Stage, page: dict[str, str]) -> None:
    """However often it is sent, and by which token of the answer, a signal is one event, of which the last counts."""
    answer = ids.uuid7()
    now = datetime.now(UTC)
    tokens = [answer_token(SECRET, "acme", answer, now - timedelta(seconds=age)) for age in (500, 100, 0)]
    for signal, fields in (
        ("thumb", {"value": 1}),
        ("rating", {"value": 4}),
        ("correction", {"value": None, "label": "hr"}),
        ("comment", {"value": None, "label": None, "inference_id": None, "comment": "no"}),
    ):
        stage.recorded.sent.clear()
        for token in tokens:
            assert (await said(stage, page, token=token, signal=signal, **fields)).status_code == 202
        assert len({event.event_id for event in stage.recorded.sent}) == 1
        revisions = [event.revision for event in stage.recorded.sent]
        assert revisions[0] >= 500 > revisions[1] >= 100 > revisions[2]
        assert {event.inference_id for event in stage.recorded.sent} == {answer}  # type: ignore[union-attr]


async def test_what_was_said_last_counts_in_whatever_order_it_arrives(stage: Stage, page: dict[str, str]) -> None:
    """A page says when its user spoke: a late request is an earlier revision, and a retry is the same event."""
    now = datetime.now(UTC)
    token = answer_token(SECRET, "acme", ids.uuid7(), now - timedelta(seconds=500))
    for age, value in ((100, -1), (200, 1), (100, -1)):
        at = (now - timedelta(seconds=age)).isoformat()
        assert (await said(stage, page, token=token, value=value, occurred_at=at)).status_code == 202
    down, up, again = stage.recorded.sent
    assert (down.revision, up.revision) == (400, 300) and down.event_id == up.event_id
    assert down == again and down.occurred_at == now - timedelta(seconds=100)


async def test_a_page_cannot_speak_outside_the_tokens_time(stage: Stage, page: dict[str, str]) -> None:
    """A clock that is fast says now; one that is late says the token's making, in the order of arrival."""
    now = datetime.now(UTC)
    token = answer_token(SECRET, "acme", ids.uuid7(), now - timedelta(seconds=500))
    for at in ("2001-01-01T00:00:00Z", "2001-01-02T00:00:00Z", "2090-01-01T00:00:00Z"):
        assert (await said(stage, page, token=token, occurred_at=at)).status_code == 202
    first, second, fast = stage.recorded.sent
    assert first.revision == second.revision == 0 and now < first.occurred_at < second.occurred_at
    assert 500 <= fast.revision < 560 and second.occurred_at <= fast.occurred_at <= datetime.now(UTC)
    for wrong in ("2026-01-01T00:00:00", "1970-01-01T00:00:00Z"):
        assert (await said(stage, page, token=token, occurred_at=wrong)).status_code == 400


@pytest.mark.parametrize(
    ("fields", "stored"),
    [({"value": 0}, -1), ({"value": False}, -1), ({"value": "👍"}, 1), ({"signal": "rating", "value": "4"}, 4),
     ({"signal": "rating", "value": 10, "best": 10}, 5), ({"value": True, "comment": "\ud83d" * 70_000}, 1)],
)  # fmt: skip
async def test_a_page_says_a_value_as_its_widget_has_it(
    stage: Stage, page: dict[str, str], fields: dict[str, Any], stored: float
) -> None:
    """A switch's false, a star of ten, half of an emoji and a novel as a comment are read as everywhere."""
    token = answer_token(SECRET, "acme", ids.uuid7(), datetime.now(UTC))
    # httpx refuses to write half of a surrogate pair.
    body = json.dumps({"signal": "thumb", "token": token} | fields).encode()
    taken = await stage.client.post("/v1/feedback", content=body, headers=page | {"content-type": "application/json"})
    assert taken.status_code == 202, taken.text
    (feedback,) = stage.recorded.sent
    assert isinstance(feedback, Feedback) and feedback.value == stored


@pytest.mark.parametrize("source", [source for source in Source if source is not Source.USER])
async def test_a_page_speaks_as_its_user_alone(stage: Stage, page: dict[str, str], source: Source) -> None:
    """Every other source takes another role."""
    token = answer_token(SECRET, "acme", ids.uuid7(), datetime.now(UTC))
    answer = await said(stage, page, token=token, source=source)
    assert answer.status_code == 403 and f"source {source} takes a key" in answer.json()["error"]["message"]
    assert not stage.recorded.sent


@pytest.mark.parametrize(
    "signal", [signal for signal in Signal if signal not in ("thumb", "rating", "correction", "comment")]
)
async def test_a_page_has_four_signals(stage: Stage, page: dict[str, str], signal: Signal) -> None:
    """What settles an answer, or is seen in behaviour, is not a page's to say."""
    token = answer_token(SECRET, "acme", ids.uuid7(), datetime.now(UTC))
    assert (await said(stage, page, token=token, signal=signal)).status_code == 403
    assert not stage.recorded.sent


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"value": 7}, "a thumb is 1 (up) or -1"),
        ({"value": None}, "a thumb is 1 (up) or -1"),
        ({"signal": "rating", "value": 1e9}, "a rating is 1 to 5"),
        ({"signal": "rating", "value": 11, "best": 10}, "a rating is 1 to 10 here"),
        ({"label": "hr"}, "a label comes with the signal correction alone"),
        ({"signal": "correction"}, "a correction comes with `label`"),
        ({"signal": "correction", "label": " \t"}, "a correction comes with `label`"),
        ({"signal": "comment"}, "a comment comes with `comment`"),
        ({"signal": "comment", "comment": " \n"}, "a comment comes with `comment`"),
        ({"inclusion_probability": 1e-6}, "there is no such field"),
        ({"feedback_id": str(ids.uuid7())}, "there is no such field"),
        ({"tenant": "globex"}, "there is no such field"),
        ({"rater": "x"}, "there is no such field"),
    ],
)
async def test_a_page_says_no_more_than_it_is_asked(
    stage: Stage, page: dict[str, str], fields: dict[str, Any], says: str
) -> None:
    """Values have their ranges, and fields that could weigh, name or own an event are unknown."""
    token = answer_token(SECRET, "acme", ids.uuid7(), datetime.now(UTC))
    answer = await said(stage, page, token=token, **fields)
    assert answer.status_code == 400 and says in answer.json()["error"]["message"]
    assert not stage.recorded.sent


async def test_a_page_needs_the_answers_token(stage: Stage, page: dict[str, str]) -> None:
    """None, another tenant's, one too old and one made up are refused, and an id in the body is no help."""
    mine, now = ids.uuid7(), datetime.now(UTC)
    tokens = [
        "",
        "x",
        answer_token(SECRET, "globex", mine, now),
        answer_token(SECRET, "acme", mine, now - LIFETIME - timedelta(seconds=1)),
        answer_token(SECRET, "acme", mine, now).replace(mine.hex, ids.uuid7().hex),
    ]
    for token in tokens:
        answer = await said(stage, page, token=token, inference_id=str(mine))
        assert answer.status_code == 403 and "the answer token is" in answer.json()["error"]["message"], token
    other = answer_token(SECRET, "acme", mine, now)
    assert (await said(stage, page, token=other, inference_id=str(UUID(int=7)))).status_code == 202
    assert [event.inference_id for event in stage.recorded.sent] == [mine]  # type: ignore[union-attr]


async def test_a_page_is_of_the_keys_origin(stage: Stage, page: dict[str, str]) -> None:
    """Another page, a program that says nothing of a page, and any page with a backend's key are refused."""
    token = answer_token(SECRET, "acme", ids.uuid7(), datetime.now(UTC))
    stage.key("acme", Role.PUBLISH, origins=[ELSEWHERE])
    key = {"authorization": page["authorization"]}
    for headers in (key, key | {"origin": ELSEWHERE}, key | {"origin": "null"}):
        assert (await said(stage, headers, token=token)).status_code == 403
    backend = stage.key("acme", Role.INGEST, Role.REVIEW)
    for path in ("/v1/feedback", "/v1/events", "/v1/route", "/v1/chat/completions", "/v1/traces"):
        for origin in (ELSEWHERE, PAGE, "null", "http://["):
            answer = await stage.client.post(path, content=b"{}", headers=backend | {"origin": origin})
            assert answer.status_code == 403 and "a web page may only send feedback" in answer.text
    assert not stage.recorded.sent


async def test_pages_load_the_client_from_the_gateway(stage: Stage) -> None:
    """An entry is asked for each time, the files that it leads to are kept; any page may load them."""
    for name in ("page", "thumbs", "index"):
        entry = await stage.client.get(f"/client/{name}.js")
        assert entry.status_code == 200 and entry.headers["content-type"].startswith("text/javascript")
        assert entry.headers["cache-control"] == "no-cache"
        again = await stage.client.get(f"/client/{name}.js", headers={"if-none-match": entry.headers["etag"]})
        assert again.status_code == 304
        path = entry.text.split('"')[1].removeprefix(".")
        file = await stage.client.get(f"/client{path}")
        assert file.status_code == 200 and "immutable" in file.headers["cache-control"]
        assert file.text == (CLIENT / f"{name}.js").read_text("utf-8")
        for answer in (entry, again, file):
            assert answer.headers["access-control-allow-origin"] == "*"
            assert answer.headers["x-content-type-options"] == "nosniff"
    # Another gateway, which is not replaced yet, led here.
    older = await stage.client.get("/client/0123456789abcdef/page.js")
    assert older.status_code == 200 and older.headers["cache-control"] == "no-store"
    for name in ("nothing.js", f"{path.split('/')[1]}/nothing.js", "x/%2e%2e%2fapp.js"):
        assert (await stage.client.get(f"/client/{name}")).status_code == 404


async def test_without_keys_no_page_may_post(stage: Stage) -> None:
    """A page that a user of this machine has open cannot post to the gateway on loopback."""
    for path in ("/v1/feedback", "/v1/events", "/v1/route", "/v1/chat/completions"):
        headers = {"origin": ELSEWHERE, "content-type": "text/plain"}
        answer = await stage.client.post(path, content=b'{"text": "a"}', headers=headers)
        assert answer.status_code == 403 and "access-control-allow-origin" not in answer.headers
    assert not stage.recorded.sent and not stage.recorded.inferences


async def test_browsers_are_told_which_pages_may_ask(stage: Stage, page: dict[str, str]) -> None:
    """Preflights and answers name the origin of an active key's page, for feedback alone, and no other."""

    def preflight(origin: str, path: str = "/v1/feedback") -> Any:
        asks = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
        return stage.client.options(path, headers={"origin": origin} | asks)

    allowed = await preflight(PAGE)
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (204, PAGE)
    assert allowed.headers["access-control-allow-methods"] == "POST" and allowed.headers["vary"] == "origin"
    assert {"authorization", "content-type", "x-headrace-token"} == set(
        allowed.headers["access-control-allow-headers"].split(", ")
    )
    for refused in (await preflight(ELSEWHERE), await preflight("null"), await preflight(PAGE, "/v1/route")):
        assert refused.status_code in (403, 405) and "access-control-allow-origin" not in refused.headers
    # A page can read why it was refused.
    for answer in (await said(stage, page), await said(stage, {"origin": PAGE, "authorization": "Bearer x"})):
        assert answer.status_code in (401, 403) and answer.headers["access-control-allow-origin"] == PAGE
        assert json.loads(answer.text)["error"]["message"]
        assert answer.headers["access-control-expose-headers"] == "retry-after"
    revoke(stage.keys, page["authorization"].split("_")[1], "test")
    assert (await preflight(PAGE)).status_code == 403
