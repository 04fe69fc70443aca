"""What a crash or a restart of the embedded servers leaves behind."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import TopicPartition
from formatted_storage import formatted

from headrace.bus.kafka.security import client_options
from headrace.embedded import jars
from headrace.embedded.clickhouse import ClickHouseServer
from headrace.embedded.kafka import KafkaServer
from headrace.errors import StackError
from headrace.settings import Settings

pytestmark = pytest.mark.stack
CACHE = Path(__file__).parents[2] / "var" / "cache"


def auth(server: ClickHouseServer) -> tuple[str, str]:
    login = server.login()
    return login["clickhouse_user"], login["clickhouse_password"].get_secret_value()


def ask(server: ClickHouseServer, sql: str) -> str:
    answer = httpx.post(server.url, content=sql, auth=auth(server), trust_env=False, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_clickhouse_keeps_what_it_acknowledged_through_kill_9(tmp_path: Path) -> None:
    """Every acknowledged insert is there after SIGKILL in the middle of inserting, and after SIGTERM."""
    server = ClickHouseServer(tmp_path).start()
    ask(server, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
    acknowledged: list[int] = []
    enough = threading.Event()

    def insert() -> None:
        with httpx.Client(base_url=server.url, auth=auth(server), trust_env=False) as http:
            for number in range(1_000_000):
                try:
                    done = http.post("/", params={"query": "INSERT INTO t FORMAT TSV"}, content=f"{number}\n")
                except httpx.HTTPError:
                    return
                if done.status_code == 200:
                    acknowledged.append(number)
                if number == 50:
                    enough.set()

    inserting = threading.Thread(target=insert)
    inserting.start()
    assert enough.wait(60)
    server.kill()
    inserting.join()
    with ClickHouseServer(tmp_path, server.port) as again:
        stored = set(map(int, ask(again, "SELECT a FROM t").split()))
        assert set(acknowledged) <= stored
        assert stored - set(acknowledged) <= {len(acknowledged)}
        ask(again, "INSERT INTO t VALUES (7000000)")
    with ClickHouseServer(tmp_path) as last:
        assert int(ask(last, "SELECT max(a) FROM t")) == 7_000_000


def test_tables_of_the_default_database_outlive_restarts_and_the_engine_s_own_one(tmp_path: Path) -> None:
    """Also those of a home that began with the engine's own default database, in which files were tables."""
    data = tmp_path / "clickhouse" / "data"
    data.parent.mkdir()
    program = """if True:
        import sys, chdb
        connection = chdb.connect(sys.argv[1])
        assert b"Overlay" in connection.query("SELECT engine FROM system.databases").bytes()
        connection.query("CREATE TABLE old (a String) ENGINE = MergeTree ORDER BY a")
        connection.query("INSERT INTO old VALUES ('kept')")
        connection.close()
    """
    subprocess.run([sys.executable, "-c", program, str(data)], check=True, timeout=60)
    for stored in ("kept", "kept,kept", "kept,kept,kept"):
        with ClickHouseServer(tmp_path) as server:
            assert ask(server, "SELECT arrayStringConcat(groupArray(a), ',') FROM old") == f"{stored}\n"
            assert ask(server, "SELECT engine FROM system.databases WHERE name = 'default'") == "Atomic\n"
            ask(server, "INSERT INTO old VALUES ('kept')")


def test_one_clickhouse_to_a_home_and_a_port(tmp_path: Path) -> None:
    """A second server on the same folder, or on a port in use, says so in one sentence."""
    with ClickHouseServer(tmp_path / "a") as server:
        with pytest.raises(StackError, match=r"could not open .*data"):
            ClickHouseServer(tmp_path / "a").start()
        with pytest.raises(StackError, match=f"Port {server.port} .* already in use; .* HEADRACE_CLICKHOUSE"):
            ClickHouseServer(tmp_path / "b", server.port).start()
        assert ask(server, "SELECT 1") == "1\n"


async def produce(settings: Settings, values: list[bytes]) -> None:
    producer = AIOKafkaProducer(**client_options(settings), acks="all")
    await producer.start()
    for value in values:
        await producer.send_and_wait("t", value, partition=0)
    await producer.stop()


async def consume(settings: Settings, count: int) -> list[bytes | None]:
    consumer = AIOKafkaConsumer(**client_options(settings), auto_offset_reset="earliest")
    await consumer.start()
    consumer.assign([TopicPartition("t", 0)])
    try:
        return [(await asyncio.wait_for(consumer.getone(), 30)).value for _ in range(count)]
    finally:
        await consumer.stop()


async def test_kafka_keeps_records_through_kill_9_and_restart(tmp_path: Path) -> None:
    """Topics, records and transactions work, and acknowledged records outlive SIGKILL and SIGTERM."""
    server = KafkaServer(formatted(tmp_path), cache=CACHE).start()
    settings = Settings(home=tmp_path, kafka=server.bootstrap)
    admin = AIOKafkaAdminClient(**client_options(settings))
    await admin.start()
    await admin.create_topics([NewTopic("t", 1, 1)])
    await admin.close()
    await produce(settings, [b"one", b"two"])
    server.kill()
    with KafkaServer(tmp_path, server.port, CACHE):
        producer = AIOKafkaProducer(**client_options(settings), transactional_id="x")
        await producer.start()
        async with producer.transaction():
            await producer.send_and_wait("t", b"three")
        await producer.stop()
    with KafkaServer(tmp_path, cache=CACHE) as last:
        assert await consume(settings.replaced(kafka=last.bootstrap), 3) == [b"one", b"two", b"three"]
        with pytest.raises(StackError, match=f"Port {last.port} .* already in use; .* HEADRACE_KAFKA"):
            KafkaServer(tmp_path / "other", last.port, CACHE).start()


def test_a_jar_that_is_not_the_locked_one_is_refused(tmp_path: Path) -> None:
    """The class path holds the locked jars and no others; one changed byte is a sentence naming the file."""
    lock = {"a.jar": hashlib.sha256(b"a").hexdigest(), "b.jar": hashlib.sha256(b"b").hexdigest()}
    folder = tmp_path / f"broker-{jars.digest_of(lock)}"
    folder.mkdir()
    (folder / "a.jar").write_bytes(b"a")
    (folder / "b.jar").write_bytes(b"b")
    assert jars.class_path(tmp_path, lock) == f"{folder}/a.jar:{folder}/b.jar"
    (folder / "b.jar").write_bytes(b"B")
    with pytest.raises(StackError, match=r"b.jar is not the jar that locks/broker.lock names"):
        jars.class_path(tmp_path, lock)
