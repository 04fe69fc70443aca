"""A ClickHouse with passwords, and ways to talk to it; imported by the modules that test it over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import clickhouse_connect
import httpx
import pytest
from clickhouse_connect.driver.client import Client

from headrace.embedded.clickhouse import ClickHouseServer

ENV = {"HEADRACE_CLICKHOUSE_PASSWORD": "pass:word", "HEADRACE_ANALYST_PASSWORD": "reads"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    with ClickHouseServer(tmp_path_factory.mktemp("clickhouse"), env=ENV) as running:
        yield running


@pytest.fixture
def client(server: ClickHouseServer) -> Iterator[Client]:
    made = clickhouse_connect.get_client(host="127.0.0.1", port=server.port, password="pass:word")
    yield made
    made.close()


@pytest.fixture
def http(server: ClickHouseServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, auth=("default", "pass:word"), timeout=60, trust_env=False) as made:
        yield made


@pytest.fixture
def table(client: Client) -> Iterator[str]:
    name = f"t_{uuid4().hex}"
    client.command(f"CREATE TABLE {name} (a UInt64, b String) ENGINE = MergeTree ORDER BY a")
    yield name
    client.command(f"DROP TABLE {name}")
