"""Fixtures of the stream tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from books import Books
from router_story import PLAN, Story

from headrace.bus.kafka import KafkaProducer
from headrace.plan import Plan, parse
from headrace.settings import Settings
from headrace.warehouse import Warehouse


@pytest.fixture
def plan() -> Plan:
    return parse(PLAN)


@pytest.fixture
def story(clickhouse_server: Settings, prepared_database: Callable[[], str]) -> Iterator[Story]:
    """An empty warehouse and a pen to write its history with."""
    warehouse = Warehouse.connect(clickhouse_server.replaced(database=prepared_database()))
    yield Story(warehouse)
    # Hundreds of them would make the server slow.
    warehouse.command(f"DROP DATABASE {warehouse.database} SYNC")
    warehouse.close()


@pytest.fixture
def settings(stack: Settings) -> Settings:
    plan = stack.home / "flywheel.toml"
    # Every answer is drawn: what a test says of labels is then what the monitor sees.
    plan.write_text(f"{PLAN}\n[tasks.router.audit]\nrate = 1.0\n")
    return stack.replaced(plan=plan)


@pytest.fixture
async def producer(settings: Settings) -> AsyncIterator[KafkaProducer]:
    client = KafkaProducer(settings)
    await client.start()
    yield client
    await client.stop()


@pytest.fixture
def books(clickhouse_server: Settings, prepared_database: Callable[[], str]) -> Iterator[Books]:
    """An empty warehouse of which the balance is kept."""
    warehouse = Warehouse.connect(clickhouse_server.replaced(database=prepared_database()))
    yield Books(warehouse)
    warehouse.command(f"DROP DATABASE {warehouse.database} SYNC")
    warehouse.close()
