"""Fixtures of the tests of ClickHouse over HTTP; a module that needs another server defines its own."""

from clickhouse_fixtures import client, http, server, table

__all__ = ["client", "http", "server", "table"]
