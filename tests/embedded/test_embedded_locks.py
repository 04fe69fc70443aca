"""Who may do what at the embedded broker, and which part knows which secret."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from headrace import plan
from headrace.access.logins import broker_of
from headrace.access.secrets import of_home
from headrace.bus.kafka import KafkaConsumer, KafkaProducer, ensure_topics, snapshot
from headrace.bus.kafka.security import client_options
from headrace.contract.topics import EMITTERS, FEEDBACK, INFERENCES, PROMOTIONS, TOPICS
from headrace.embedded.environment import SECRETS, environment
from headrace.embedded.kafka import KafkaServer
from headrace.errors import HeadraceError
from headrace.settings import Settings

CACHE = Path(__file__).parents[2] / "var" / "cache"
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[KafkaServer]:
    home = tmp_path_factory.mktemp("broker")
    with KafkaServer(home, cache=CACHE) as server:
        await ensure_topics(Settings(home=home, kafka=server.bootstrap))
        yield server


def anonymous(broker: KafkaServer) -> Settings:
    """What a program on this machine knows."""
    return Settings(kafka=broker.bootstrap, embedded=())


@pytest.mark.stack
async def test_an_anonymous_program_emits_and_nothing_else(broker: KafkaServer) -> None:
    """Without a password it writes events and counters; no other topic, no transaction, no topic of its own."""
    settings = anonymous(broker)
    producer = KafkaProducer(settings)
    for topic in TOPICS:
        if topic in (INFERENCES, FEEDBACK, EMITTERS):
            await producer.send(topic, b"{}", b"key")
        else:
            with pytest.raises(HeadraceError, match="does not let this client do that"):
                await producer.send(topic, b"{}", b"key")
    await producer.stop()
    with pytest.raises(HeadraceError, match="TransactionalIdAuthorizationFailed"):
        await KafkaProducer(settings, transactional_id="headrace-rollout-0").start()
    admin = AIOKafkaAdminClient(**client_options(settings))
    await admin.start()
    created = await admin.create_topics([NewTopic("headrace.mine", 1, 1)])
    assert [error[1] for error in created.topic_errors] == [29]
    deleted = await admin.delete_topics([INFERENCES.name])
    assert [error[1] for error in deleted.topic_error_codes] == [29]
    await admin.close()


@pytest.mark.stack
async def test_an_anonymous_program_reads_nothing(broker: KafkaServer) -> None:
    """No promotion, no event, no group: what others emitted stays theirs."""
    settings = anonymous(broker)
    with pytest.raises(HeadraceError, match=r"has no topic headrace\.promotions"):
        await snapshot(settings, PROMOTIONS)
    with pytest.raises(HeadraceError, match="GroupAuthorizationFailed"):
        await KafkaConsumer(settings, [INFERENCES], "headrace-streams").start()
    kafka = AIOKafkaConsumer(**client_options(settings), auto_offset_reset="earliest")
    await kafka.start()
    kafka.assign([TopicPartition(INFERENCES.name, 0)])
    with pytest.raises(Exception, match="TopicAuthorizationFailed"):
        await kafka.getmany(timeout_ms=5000)
    await kafka.stop()


@pytest.mark.stack
def test_the_password_stands_in_files_of_the_owner_alone(broker: KafkaServer, tmp_path: Path) -> None:
    """It is in no command line, and in no file that others may read."""
    login = broker.login()
    password = login["kafka_password"].get_secret_value()
    home = Path(psutil.Process(broker.pid).cmdline()[-1]).parents[1]
    assert not any(password in word for word in psutil.Process(broker.pid).cmdline())
    holders = [path for path in home.rglob("*") if path.is_file() and password.encode() in path.read_bytes()]
    assert {path.name for path in holders} == {"server.properties", "kafka"}
    assert {path.stat().st_mode & 0o777 for path in holders} == {0o600}


@pytest.mark.stack
def test_a_broker_has_its_classes_from_the_cache(broker: KafkaServer) -> None:
    """They are mapped from the file beside the jars that the first start made."""
    mapped = {line.split()[-1] for line in Path(f"/proc/{broker.pid}/maps").read_text().splitlines()}
    assert any(name.startswith(f"{CACHE}/broker-") and name.endswith(".aot") for name in mapped)


@pytest.mark.stack
async def test_parts_find_a_restarted_broker_again(tmp_path: Path) -> None:
    """Started again it listens where it did, and a producer goes on; closed to the anonymous it takes logins alone."""
    server = KafkaServer(tmp_path, cache=CACHE).start()
    settings = Settings(home=tmp_path, kafka=server.bootstrap)
    await ensure_topics(settings)
    producer = KafkaProducer(settings)
    await producer.send(PROMOTIONS, b"{}", b"before")
    before = broker_of(tmp_path)
    server.kill()
    with KafkaServer(tmp_path, server.port, CACHE, anonymous=False):
        assert broker_of(tmp_path) == before
        await producer.send(PROMOTIONS, b"{}", b"after")
        assert set(await snapshot(settings, PROMOTIONS)) == {b"before", b"after"}
        with pytest.raises(HeadraceError, match="answers, but closes the connection; check HEADRACE_KAFKA_PROTOCOL"):
            await KafkaProducer(settings.replaced(embedded=())).start()
        login = {"kafka_user": "headrace", "kafka_password": of_home(tmp_path, "kafka"), "kafka_mechanism": "PLAIN"}
        named = settings.replaced(embedded=(), kafka_protocol="SASL_PLAINTEXT", **login)
        assert len(await snapshot(named, PROMOTIONS)) == 2
    await producer.stop()


ALERTS = """
[alerts]
webhook = "http://127.0.0.1:1/"
secret_env = "ALERT_SECRET"
"""


@pytest.mark.parametrize("part", SECRETS)
def test_a_part_knows_the_secrets_that_it_uses(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the settings' secrets and the plan's keys each reaches the parts that use it, and no other way leads there."""
    text = (REPOSITORY / "flywheel.toml").read_text("utf-8")
    incumbent, judge = "[tasks.router.incumbent]\n", "[tasks.router.judge]\n"
    assert incumbent in text and judge in text
    text = text.replace(incumbent, f'{incumbent}key_env = "BIG_KEY"\n')
    text = text.replace(judge, f'{judge}key_env = "JUDGE_KEY"\n')
    keys = {"BIG_KEY": ("serving", "retrain"), "JUDGE_KEY": ("judge",), "ALERT_SECRET": ("alert",)}
    for variable in keys:
        monkeypatch.setenv(variable, "plan-key")
    for name in Settings.SECRETS:
        monkeypatch.setenv(f"HEADRACE_{name.upper()}", f"secret-{name}")
    monkeypatch.setenv("HEADRACE_KAFKA_PASSWORD_FILE", "/run/secrets/kafka")
    settings = Settings(**{name: f"secret-{name}" for name in Settings.SECRETS})  # type: ignore[arg-type]
    found = environment(settings, f"{part}-0" if part == "streams" else part, plan.parse(text + ALERTS))
    told = {name for name in Settings.SECRETS if f"secret-{name}" in found.values()}
    assert told == set(SECRETS[part])
    assert {variable for variable in keys if variable in found} == {name for name, who in keys.items() if part in who}
    assert "HEADRACE_KAFKA_PASSWORD_FILE" not in found
