"""The real servers that tests share: one ClickHouse a session, one Kafka a module, an empty database a module."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

# Two tests run at a time on two cores. Threads of torch beside as many of the other's spin while they wait: a quarter
# of the trainer's tests' time. Before anything imports torch.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import hypothesis  # imported late, inside pytest's own plugin, it breaks the summary on CPython 3.11
import pytest
from formatted_storage import formatted
from prepared_databases import Databases

from headrace.settings import Settings

REPOSITORY = Path(__file__).parents[1]
CACHE = REPOSITORY / "var" / "cache"
# An example that takes longer than 0.2 s is no failure: beside other work many do.
hypothesis.settings.register_profile("headrace", hypothesis.settings(), deadline=None)
hypothesis.settings.load_profile("headrace")
# Converted and downloaded once for all tests, in the processes that they start, too.
os.environ.setdefault("MODELS_CACHE", str(CACHE))
os.environ.setdefault("BROKER_CACHE", str(CACHE))
# Folders and files with the longest tests first; the others follow by name. The whole loop trains, serves on a stack's
# ports and goes by timers: beside it come tests that do none of that.
LONGEST = [
    "end_to_end/test_loop.py", "streams", "trainer", "end_to_end/test_chaos.py", "warehouse",
    "end_to_end/test_newcomer.py", "cli", "end_to_end/test_poisoning.py", "consumers",
    "end_to_end/test_secured_loop.py", "serving", "test_code_rules.py",
]  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files begin early, so that the workers end together; the whole loop's run beside others, not at once."""

    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(REPOSITORY / "tests").as_posix()
        starts = (at for at, name in enumerate(LONGEST) if path == name or path.startswith(f"{name}/"))
        return next(starts, len(LONGEST))

    items.sort(key=place)


@pytest.fixture(scope="session")
def clickhouse_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings that point to a running ClickHouse."""
    from headrace.embedded.clickhouse import ClickHouseServer

    home = tmp_path_factory.mktemp("clickhouse")
    with ClickHouseServer(home) as server:
        yield Settings(home=home, artifacts=home / "artifacts", **server.login())


@pytest.fixture(scope="session")
def databases(clickhouse_server: Settings) -> Databases:
    """Prepared databases on it."""
    return Databases(clickhouse_server)


@pytest.fixture
def empty_warehouse(databases: Databases) -> Iterator[object]:
    """A client of a prepared database without rows, for one test."""
    with databases.lent() as warehouse:
        yield warehouse


@pytest.fixture(scope="module")
def database(
    clickhouse_server: Settings, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """Settings of a prepared database without rows and a folder of its own."""
    home = tmp_path_factory.mktemp("home")
    with databases.lent() as warehouse:
        yield clickhouse_server.replaced(home=home, artifacts=home / "artifacts", database=warehouse.database)


@pytest.fixture(scope="module")
def warehouse(database: Settings) -> Iterator[object]:
    """A client of the module's database."""
    from headrace.warehouse import Warehouse

    client = Warehouse.connect(database)
    yield client
    client.close()


@pytest.fixture(scope="module")
def stack(database: Settings) -> Iterator[Settings]:
    """A fresh Kafka broker with every topic, as its parts log in to it, and the module's database."""
    from headrace.bus.kafka import ensure_topics
    from headrace.embedded.kafka import KafkaServer

    with KafkaServer(formatted(database.home), cache=CACHE) as broker:
        asyncio.run(ensure_topics(database.replaced(kafka=broker.bootstrap)))
        # Tests give their parts homes of their own: these settings log in from any.
        yield database.replaced(**broker.login())
