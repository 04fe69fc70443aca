"""How clients log in to Kafka, on a broker as a company runs it, and what each part and role may do there."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiokafka import AIOKafkaConsumer
from secured_servers import Company, company, server_context

from headrace.access.acls import ROLES
from headrace.access.roles import Role
from headrace.bus.kafka import KafkaConsumer, KafkaProducer, ensure_topics, snapshot
from headrace.bus.kafka.lag import lag_reader
from headrace.bus.kafka.rights import grant
from headrace.bus.kafka.security import client_options
from headrace.contract.topics import INFERENCES, JOBS, LABELS, PROMOTIONS, ROLLOUTS, TOPICS, Topic
from headrace.errors import HeadraceError
from headrace.settings import Settings

pytestmark = pytest.mark.stack

ALL = {topic.name: topic for topic in TOPICS}


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    with company(tmp_path_factory.mktemp("secured"), clickhouse=False) as made:
        yield made


@pytest.fixture(scope="module")
async def topics(secured: Company) -> None:
    """All of them."""
    await ensure_topics(secured.settings)


async def writes(settings: Settings, topic: Topic, transactional_id: str = "") -> None:
    """Write a record there. Raises HeadraceError."""
    producer = KafkaProducer(settings, transactional_id=transactional_id, timeout_s=10)
    try:
        await producer.start()
        if transactional_id:
            await producer.transact([(topic, b"{}", b"key")])
        else:
            await producer.send(topic, b"{}", b"key")
    finally:
        await producer.stop()


async def may_write(settings: Settings) -> set[str]:
    """The topics that these settings can write to."""
    found = set()
    for topic in ALL.values():
        try:
            await writes(settings, topic)
        except HeadraceError as error:
            assert "does not let this client do that" in str(error)
        else:
            found.add(topic.name.removeprefix("headrace."))
    return found


async def visible(settings: Settings) -> set[str]:
    """The topics that exist for a login, and whose records it can therefore ask for."""
    kafka = AIOKafkaConsumer(**client_options(settings))
    await kafka.start()
    try:
        return {name.removeprefix("headrace.") for name in await kafka.topics()}
    finally:
        await kafka.stop()


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"])
async def test_passwords(secured: Company, mechanism: str) -> None:
    """Each way of logging in by a password works over TLS."""
    await writes(secured.as_("serving", kafka_mechanism=mechanism), INFERENCES)


async def test_a_client_certificate_is_a_login(secured: Company) -> None:
    """With protocol SSL the certificate says who it is: known to the broker, and without rights there."""
    files = secured.files
    where = f"127.0.0.1:{secured.tls_port}"
    settings = secured.settings.replaced(
        kafka=where, kafka_protocol="SSL", kafka_cert=files.client_cert, kafka_key=files.client_key
    )
    with pytest.raises(HeadraceError, match="does not let this client do that"):
        await writes(settings, INFERENCES)
    with pytest.raises(HeadraceError, match=rf"Kafka at {where} answers, but closes .* HEADRACE_KAFKA_CERT"):
        await writes(settings.replaced(kafka_cert=None, kafka_key=None), INFERENCES)


@pytest.fixture
async def tokens(secured: Company) -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """An OAuth server by https, and what it was asked: it knows one client and lets tokens live two seconds."""
    asked: list[dict[str, Any]] = []

    async def token(request: web.Request) -> web.Response:
        asked.append(dict(await request.post()))
        if request.headers["Authorization"] != "Basic " + base64.b64encode(b"serving:client-secret").decode():
            return web.json_response({"error": "invalid_client"}, status=401)
        return web.json_response({"access_token": unsigned("serving"), "token_type": "Bearer", "expires_in": 2})

    app = web.Application()
    app.router.add_post("/token", token)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_context(secured.files))
    await site.start()
    port = runner.addresses[0][1]
    yield f"https://127.0.0.1:{port}/token", asked
    await runner.cleanup()


def unsigned(subject: str) -> str:
    """A JSON Web Token of algorithm none."""
    import time

    claims = {"sub": subject, "iat": int(time.time()), "exp": int(time.time()) + 3600}
    parts = (json.dumps(part).encode() for part in ({"alg": "none"}, claims))
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + "."


async def test_tokens(secured: Company, tokens: tuple[str, list[dict[str, Any]]]) -> None:
    """OAUTHBEARER logs in with a token that it asks for with the client's secret, and keeps for most of its life."""
    url, asked = tokens
    settings = secured.as_("serving", kafka_mechanism="OAUTHBEARER", kafka_token_url=url)
    with pytest.raises(HeadraceError, match=f"HEADRACE_KAFKA_TOKEN_URL {url} answered 401") as refused:
        await writes(settings, INFERENCES)
    assert "serving-secret" not in str(refused.value)
    known = settings.replaced(kafka_password="client-secret")
    asked.clear()
    await writes(known, INFERENCES)
    assert asked == [{"grant_type": "client_credentials"}]
    provider = client_options(known)["sasl_oauth_token_provider"]
    first = [await provider.token() for _ in range(3)]
    provider._until = 0.0
    assert len(set(first)) == 1 and await provider.token() and len(asked) == 3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kafka_password": "wrong"}, r"refused the login of serving; check HEADRACE_KAFKA_USER and HEADRACE_KAFKA_PA"),
        ({"kafka_user": "nobody"}, r"refused the login of nobody; check HEADRACE_KAFKA_USER"),
        ({"kafka_user": ""}, r"HEADRACE_KAFKA_USER is not set; SASL_SSL by SCRAM-SHA-512 needs it"),
        ({"kafka_password": ""}, r"HEADRACE_KAFKA_PASSWORD is not set"),
        ({"kafka_mechanism": "OAUTHBEARER"}, r"HEADRACE_KAFKA_TOKEN_URL is not set"),
        ({"kafka_ca": None}, r"certificate of Kafka at .* is not trusted \(.*\); set HEADRACE_KAFKA_CA"),
        ({"kafka_ca": Path("/nowhere/ca.pem")}, r"HEADRACE_KAFKA_CA is /nowhere/ca.pem, which cannot be read"),
        ({"kafka_cert": Path(__file__)}, r"HEADRACE_KAFKA_CERT is .*\.py, which is not PEM that can be used"),
        ({"kafka_key": Path("/nowhere/key.pem")}, r"HEADRACE_KAFKA_KEY is set without HEADRACE_KAFKA_CERT"),
        ({"kafka_protocol": "SASL_PLAINTEXT"}, r"answers, but closes the connection; check HEADRACE_KAFKA_PROTOCOL"),
    ],
)
async def test_a_mistake_is_one_sentence(secured: Company, changes: dict[str, Any], said: str) -> None:
    """What is wrong with a login is told with the variable to look at, by every client, and without a secret."""
    settings = secured.as_("serving").replaced(**changes)
    for attempt in (
        KafkaProducer(settings, timeout_s=10).start(),
        KafkaConsumer(settings, [PROMOTIONS]).start(),
        ensure_topics(settings),
        snapshot(settings, PROMOTIONS),
        _lag(settings),
    ):
        with pytest.raises(HeadraceError, match=said) as refused:
            await attempt
        assert "\n" not in str(refused.value) and "secret" not in str(refused.value)


async def _lag(settings: Settings) -> None:
    async with lag_reader(settings, "headrace-streams"):
        pass


@pytest.mark.usefixtures("topics")
@pytest.mark.parametrize(
    ("role", "topics_written"),
    [
        ("ingest", {"inferences", "feedback", "emitters"}),
        ("outcome", {"labels", "emitters"}),
        ("review", {"labels", "emitters"}),
        ("operate", {"triggers", "rollouts", "actions"}),
        ("read", set()),
    ],
)
async def test_a_role_writes_what_it_may(secured: Company, role: str, topics_written: set[str]) -> None:
    """At the broker a role writes its own topics and no other, and only `read` reads them all."""
    assert role in ROLES
    settings = secured.as_(f"role-{role}")
    assert await may_write(settings) == topics_written
    everything = {name.removeprefix("headrace.") for name in ALL}
    seen = topics_written | ({"promotions", "jobs"} if role == "operate" else set())
    assert await visible(settings) == (everything if role == "read" else seen)


async def test_rights_are_given_by_administrators_alone(secured: Company) -> None:
    """A login that may not give rights is told so, and gives none."""
    with pytest.raises(HeadraceError, match="gave User:desk no WRITE on headrace"):
        await grant(secured.as_("role-operate"), {"User:desk": ROLES[Role.INGEST]})


@pytest.mark.usefixtures("topics")
async def test_writing_is_not_reading(secured: Company) -> None:
    """Who may only write a topic gets none of its records, and joins no group."""
    settings = secured.as_("role-ingest")
    await writes(settings, INFERENCES)
    kafka = AIOKafkaConsumer(INFERENCES.name, **client_options(settings), auto_offset_reset="earliest")
    await kafka.start()
    try:
        with pytest.raises(Exception, match="TopicAuthorizationFailed"):
            await kafka.getmany(timeout_ms=5000)
    finally:
        await kafka.stop()
    with pytest.raises(HeadraceError, match="GroupAuthorizationFailed"):
        await KafkaConsumer(settings, [INFERENCES], "headrace-streams").start()


@pytest.mark.usefixtures("topics")
async def test_owners_own_and_others_do_not(secured: Company) -> None:
    """The retrain and the rollout part write as the owners of their partitions; an operator cannot fence them."""
    await writes(secured.as_("retrain"), JOBS, "headrace-retrain-0")
    await writes(secured.as_("rollout"), PROMOTIONS, "headrace-rollout-0")
    for name, topic in (("role-operate", ROLLOUTS), ("judge", LABELS), ("retrain", JOBS)):
        with pytest.raises(HeadraceError, match="TransactionalIdAuthorizationFailed"):
            await writes(secured.as_(name), topic, "headrace-rollout-0")
